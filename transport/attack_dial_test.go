//go:build !js

package transport_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/hopseal/hopseal/internal/pki"
	"github.com/hopseal/hopseal/transport"
	"github.com/hopseal/hopseal/transport/diagnose"
	"github.com/hopseal/hopseal/transport/redial"
)

// TestA48ErrorsOfHooksMayHoldURLs has hooks fail as they do if they parse a proxy's
// URL, or ask some service for a ticket.
func TestA48ErrorsOfHooksMayHoldURLs(t *testing.T) {
	password := "s3cr3t#"
	_, parse := url.Parse("http://me:" + password + "@proxy.example")
	service := &url.Error{Op: "Get", URL: "https://tickets.example?key=s3cr3t", Err: io.EOF}
	h := startHop(t, nil, answering("HTTP/1.1 200 OK\r\n\r\n"))
	for _, opts := range []*transport.DialOptions{
		{Proxy: func(context.Context, *url.URL) (*url.URL, error) { return nil, parse }},
		{Proxy: func(context.Context, *url.URL) (*url.URL, error) { return nil, fmt.Errorf("no proxy: %w", service) }},
		{Proxy: via("http://" + h.Addr().String()), ProxyAuth: func(context.Context, *url.URL, []string) (string, error) { return "", service }},
	} {
		e := dialError(t, "wss://service.example", opts)
		if !strings.Contains(e.Error(), "failed: ") || strings.Contains(fmt.Sprintf("%v %+v", e, e), "s3cr3t") {
			t.Errorf("shown as %v", e)
		}
	}
}

// TestVerifyConnectionMayFailInAnyWay has the application's own check return what
// crypto/tls returns, without the certificates that it has there.
func TestVerifyConnectionMayFailInAnyWay(t *testing.T) {
	url := tlsHop(t, &tls.Config{Certificates: []tls.Certificate{pki.Issue("x", nil).Pair()}})
	for _, err := range []error{x509.UnknownAuthorityError{}, x509.CertificateInvalidError{Reason: x509.Expired}, x509.HostnameError{}} {
		opts := &transport.DialOptions{TLS: &transport.TLSOptions{InsecureSkipTLSVerify: true, Base: &tls.Config{
			VerifyConnection: func(tls.ConnectionState) error { return &tls.CertificateVerificationError{Err: err} },
		}}}
		if e := dialError(t, url, opts); e.Phase != transport.PhaseTLS || !e.Permanent() {
			t.Errorf("%v: %v", err, e)
		}
		if r := diagnose.Run(t.Context(), url, &diagnose.Options{Dial: opts}); steps(r) != "name passed, tcp passed, tls failed" {
			t.Errorf("%v: %v", err, r)
		}
	}
}

// TestARedirectThatLeadsNowhere is still one.
func TestARedirectThatLeadsNowhere(t *testing.T) {
	h := startHop(t, nil, answering("HTTP/1.1 302 Found\r\nLocation: http://%zz\r\nContent-Length: 0\r\n\r\n"))
	e := dialError(t, "ws://"+h.Addr().String(), nil)
	if e.Status != 302 || !e.Permanent() || !strings.Contains(e.Error(), "redirects are refused") {
		t.Errorf("status %d, permanent %v: %v", e.Status, e.Permanent(), e)
	}
}

// TestAProxyHasNoSayInTheServersCredential has a proxy answer as a server does whose
// client has to log in again.
func TestAProxyHasNoSayInTheServersCredential(t *testing.T) {
	h := startHop(t, nil, answering("HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n"))
	_, err := transport.Dial(t.Context(), "wss://service.example", &transport.DialOptions{Proxy: via("http://" + h.Addr().String())})
	if action := redial.ActionFor(err); action != redial.Stop {
		t.Errorf("%v: %v", action, err)
	}
}

// TestACutIsNotForEver has a server ask for a certificate that nobody needs to have,
// and somebody on the way cut the connection after that.
func TestACutIsNotForEver(t *testing.T) {
	root := pki.Root()
	for _, own := range [][]tls.Certificate{nil, {pki.Issue("me", root).Pair()}} {
		h := startHop(t, &tls.Config{Certificates: []tls.Certificate{pki.Issue("x", root).Pair()}, ClientAuth: tls.RequestClientCert}, func(c net.Conn) {
			c.Read(make([]byte, 1<<10))
		})
		e := dialError(t, "wss://"+h.Addr().String(), &transport.DialOptions{TLS: &transport.TLSOptions{RootsPEM: root.PEM(), Certificates: own}})
		if e.Phase != transport.PhaseUpgrade || e.Permanent() {
			t.Errorf("%v: permanent %v: %v", e.Phase, e.Permanent(), e)
		}
	}
}

// TestA42ChannelBindingsAreNotPrinted prints what may be logged.
func TestA42ChannelBindingsAreNotPrinted(t *testing.T) {
	url := tlsHop(t, &tls.Config{Certificates: []tls.Certificate{pki.Issue("x", nil).Pair()}})
	info := dial(t, url, &transport.DialOptions{TLS: &transport.TLSOptions{InsecureSkipTLSVerify: true}}).Info().TLS
	binding := info.ChannelBinding()
	if len(binding) != 32 {
		t.Fatalf("the binding has %d bytes", len(binding))
	}
	text := fmt.Sprintf("%v %+v %#v", info, info, info)
	for _, shown := range []string{fmt.Sprint(binding[:8]), fmt.Sprintf("%#v", binding[:8]), fmt.Sprintf("%x", binding[:8])} {
		if shown = strings.Trim(strings.TrimPrefix(shown, "[]byte"), "[]{}"); strings.Contains(text, shown) {
			t.Errorf("%q is in %q", shown, text)
		}
	}
}

// TestASharedCacheSharesNoTrust resumes nothing that a dial would not have accepted.
// Everybody here shares one cache of sessions.
func TestASharedCacheSharesNoTrust(t *testing.T) {
	root, other := pki.Root(), pki.Issue("other", nil, pki.CA)
	leaf := pki.Issue("x", root)
	url := tlsHop(t, &tls.Config{Certificates: []tls.Certificate{leaf.Pair()}})
	for name, trusting := range map[string]*transport.TLSOptions{
		"nobody":       {InsecureSkipTLSVerify: true},
		"nobody, mute": {InsecureSkipTLSVerify: true, NoSNI: true},
		"root":         {RootsPEM: root.PEM()},
		"root, mute":   {RootsPEM: root.PEM(), NoSNI: true},
	} {
		cache := tls.NewLRUClientSessionCache(9)
		trusting.Base = &tls.Config{ClientSessionCache: cache}
		for _, strict := range []*transport.TLSOptions{
			{RootsPEM: other.PEM()},
			{RootsPEM: other.PEM(), NoSNI: true},
			{RootsPEM: root.PEM(), Pins: [][32]byte{{1}, {2}}},
			{RootsPEM: root.PEM(), Pins: [][32]byte{{1}, {2}}, NoSNI: true},
			{InsecureSkipTLSVerify: true, Pins: [][32]byte{{1}, spki(root.Cert)}, NoSNI: true},
		} {
			for _, resumed := range []bool{false, true} { // leaves something to resume, once
				conn := dial(t, url, &transport.DialOptions{TLS: trusting})
				wantEcho(t, conn)
				conn.Close(transport.CodeNormal, "")
				if got := conn.Info().TLS.Resumed; resumed && !got {
					t.Fatalf("%s: nothing was resumed", name)
				}
			}
			strict.Base = &tls.Config{ClientSessionCache: cache}
			if conn, err := transport.Dial(t.Context(), url, &transport.DialOptions{TLS: strict}); err == nil {
				t.Errorf("after a dial that trusts %s, one with pins %d, name sent %v goes through; resumed %v", name, len(strict.Pins), !strict.NoSNI, conn.Info().TLS.Resumed)
				conn.Close(transport.CodeNormal, "")
			}
		}
	}
}

// TestA48ServersThatAnswerWithTheToken takes the first subprotocol, as naive servers do.
func TestA48ServersThatAnswerWithTheToken(t *testing.T) {
	token := strings.ToUpper(transport.BearerSubprotocol("s3cr3t"))
	url := serveHTTP(t, func(w http.ResponseWriter, r *http.Request) {
		first, _, _ := strings.Cut(r.Header.Get("Sec-WebSocket-Protocol"), ",")
		socket, _ := upgradeByHand(t, w, r, "Sec-WebSocket-Protocol: "+first+"\r\n")
		socket.Close()
	})
	events := make(chan transport.DialEvent, 10)
	conn := dial(t, url, &transport.DialOptions{Subprotocols: []string{token, "chat.v1"}, Notify: func(e transport.DialEvent) { events <- e }})
	if info := conn.Info(); info.Subprotocol != "" {
		t.Errorf("the Info holds %q", info.Subprotocol)
	}
	for e := range events {
		if strings.Contains(fmt.Sprintf("%+v", e), token) {
			t.Errorf("an event holds the token: %+v", e)
		}
		if e.Phase == transport.PhaseUpgrade {
			break
		}
	}
}

// TestOneBadBitIsNotForEver has somebody on the way change a bit of the server's first
// answer, in each of its parts: that is no reason never to come back.
func TestOneBadBitIsNotForEver(t *testing.T) {
	root := pki.Root()
	server := tlsHop(t, &tls.Config{Certificates: []tls.Certificate{pki.Issue("x", root).Pair()}})
	for _, at := range []int{20, 200, 1000} {
		h := startHop(t, nil, func(client net.Conn) {
			splice(&bitFlipper{client, at}, client, strings.TrimPrefix(server, "wss://"))
		})
		e := dialError(t, "wss://"+h.Addr().String(), &transport.DialOptions{TLS: &transport.TLSOptions{RootsPEM: root.PEM()}})
		if e.Phase != transport.PhaseTLS || e.Permanent() {
			t.Errorf("byte %d: %v, permanent %v: %v", at, e.Phase, e.Permanent(), e)
		}
	}
}

// A bitFlipper changes one byte of what is written to it.
type bitFlipper struct {
	net.Conn
	left int // bytes before that one
}

func (f *bitFlipper) Write(p []byte) (int, error) {
	if f.left >= 0 && f.left < len(p) {
		p = slices.Clone(p)
		p[f.left] ^= 1
	}
	f.left -= len(p)
	return f.Conn.Write(p)
}
