//go:build linux

package transport_test

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/url"
	"testing"

	"github.com/hopseal/hopseal/internal/pki"
	"github.com/hopseal/hopseal/transport"
	"github.com/hopseal/hopseal/transport/redial"
)

// TestADialThatEndsAnywhereLeavesNothing has whoever is dialled say a part of what it
// should, and then cancels the dial.
func TestADialThatEndsAnywhereLeavesNothing(t *testing.T) {
	wantEcho(t, dial(t, serve(t, nil, echo), nil)) // opens what stays open, such as the poller
	pair := pki.Issue("x", nil).Pair()
	inside := &tls.Config{Certificates: []tls.Certificate{pair}}
	lax := &transport.TLSOptions{InsecureSkipTLSVerify: true}
	const target, connected = "wss://service.example", "HTTP/1.1 200 OK\r\n\r\n"
	for name, c := range map[string]struct {
		proxy string // its scheme, or none
		url   string // "" is the hop itself
		conf  *tls.Config
		says  []string // one after each read
	}{
		"TLS of an HTTPS proxy": {"https", target, nil, []string{""}},
		"CONNECT":               {"http", target, nil, []string{"HTTP/1.1 2"}},
		"CONNECT inside TLS":    {"https", target, inside, []string{"HTTP/1.1 2"}},
		"SOCKS greeting":        {"socks5", target, nil, []string{"\x05"}},
		"SOCKS request":         {"socks5", target, nil, []string{"\x05\x00", "\x05\x00\x00\x03\xffabc"}},
		"TLS in a tunnel":       {"http", target, nil, []string{connected, "\x16\x03\x03\x00"}},
		"TLS in TLS":            {"https", target, inside, []string{connected, "\x16\x03\x03\x00"}},
		"upgrade in a tunnel":   {"http", "ws://service.example", nil, []string{connected, "HTTP/1.1 101 Switching"}},
		"TLS":                   {"", "", nil, []string{"\x16\x03\x03"}},
		"upgrade inside TLS":    {"", "", inside, []string{"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"}},
	} {
		leavesNothing(t, name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			h := startHop(t, c.conf, func(conn net.Conn) {
				for _, answer := range c.says {
					conn.Read(make([]byte, 4<<10))
					io.WriteString(conn, answer)
				}
				cancel()
				io.Copy(io.Discard, conn)
			})
			opts := &transport.DialOptions{Sealed: true, TLS: lax, ProxyTLS: lax}
			address := "wss://" + h.Addr().String()
			if c.proxy != "" {
				opts.Proxy, address = via(c.proxy+"://"+h.Addr().String()), c.url
			}
			_, err := transport.Dial(ctx, address, opts)
			if redial.ActionFor(err) != redial.Stop || ctx.Err() == nil {
				t.Errorf("%v", err)
			}
		})
	}
}

// TestAHookThatPanicsLeavesNothing has the functions of a caller panic while there is
// a connection. The panic is the caller's.
func TestAHookThatPanicsLeavesNothing(t *testing.T) {
	address := tlsHop(t, &tls.Config{Certificates: []tls.Certificate{pki.Issue("x", nil).Pair()}})
	wantEcho(t, dial(t, address, &transport.DialOptions{TLS: &transport.TLSOptions{InsecureSkipTLSVerify: true}}))
	h := startHop(t, nil, func(c net.Conn) { io.Copy(io.Discard, c) })
	for name, opts := range map[string]*transport.DialOptions{
		"ProxyAuth": {Proxy: via("http://" + h.Addr().String()), ProxyAuth: func(context.Context, *url.URL, []string) (string, error) { panic("on purpose") }},
		"VerifyConnection": {TLS: &transport.TLSOptions{InsecureSkipTLSVerify: true, Base: &tls.Config{
			VerifyConnection: func(tls.ConnectionState) error { panic("on purpose") }}}},
		"Jar": {TLS: &transport.TLSOptions{InsecureSkipTLSVerify: true}, Jar: panickingJar{}},
	} {
		leavesNothing(t, name, func(t *testing.T) {
			defer func() {
				if v := recover(); v != "on purpose" {
					t.Errorf("recovered %v", v)
				}
			}()
			_, err := transport.Dial(t.Context(), address, opts)
			t.Errorf("%v", err)
		})
	}
}

type panickingJar struct{}

func (panickingJar) SetCookies(*url.URL, []*http.Cookie) {}
func (panickingJar) Cookies(*url.URL) []*http.Cookie     { panic("on purpose") }
