//go:build !js

package transport_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/hopseal/hopseal/transport"
)

func init() { nativeOnly["ProxyProtocol"], nativeOnly["ListenProxy"] = true, true }

var onLoopback = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}

// behindProxy serves Accept behind a listener for PROXY headers.
func behindProxy(t *testing.T, proto transport.ProxyProtocol, opts *transport.AcceptOptions, conf *tls.Config) (addr string, outcomes <-chan outcome) {
	t.Helper()
	bare, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l, err := transport.ListenProxy(bare, proto)
	if err != nil {
		t.Fatal(err)
	}
	out := make(chan outcome, 1)
	s := &http.Server{ErrorLog: log.New(io.Discard, "", 0), Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, err := transport.Accept(w, r, opts)
		if conn != nil {
			t.Cleanup(func() { conn.Read(cancelled(), nil) })
		}
		out <- outcome{conn, err}
	})}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if conf != nil {
			l := tls.NewListener(l, conf)
			s.Serve(l)
			return
		}
		s.Serve(l)
	}()
	t.Cleanup(func() { s.Close(); <-ended })
	return bare.Addr().String(), out
}

func TestA49ProxyProtocolOverSockets(t *testing.T) {
	const v1 = "PROXY TCP4 192.0.2.7 198.51.100.1 4321 443\r\n"
	const tlsSaid = "\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x14\xc0\x00\x02\x07\xc6\x33\x64\x01\x10\xe1\x01\xbb\x20\x00\x05\x01\x00\x00\x00\x00"
	inner := transport.AcceptOptions{Sealed: true, TrustedHops: []netip.Prefix{netip.MustParsePrefix("192.0.2.7/32")}}
	for name, c := range map[string]struct {
		header string
		opts   transport.AcceptOptions
		sent   string
		kind   string
		client string
		local  string
	}{
		"v1":                      {v1, transport.AcceptOptions{Sealed: true}, "", "ws", "192.0.2.7", "198.51.100.1:443"},
		"v2 with TLS":             {tlsSaid, transport.AcceptOptions{RequireTLS: true}, "", "wss", "192.0.2.7", "198.51.100.1:443"},
		"the client is a hop too": {v1, inner, "X-Forwarded-For: 203.0.113.9\r\nX-Forwarded-Proto: https\r\n", "wss", "203.0.113.9", "198.51.100.1:443"},
		"the client is no hop":    {v1, transport.AcceptOptions{Sealed: true, TrustedHops: onLoopback}, "X-Forwarded-For: 203.0.113.9\r\n", "ws", "192.0.2.7", "198.51.100.1:443"},
		"unknown":                 {"PROXY UNKNOWN\r\n", transport.AcceptOptions{Sealed: true}, "", "ws", "127.0.0.1", ""},
	} {
		t.Run(name, func(t *testing.T) {
			addr, outcomes := behindProxy(t, transport.ProxyProtocol{Hops: onLoopback}, &c.opts, nil)
			_, _, socket := send(t, addr, c.header+handshake+c.sent)
			got := <-outcomes
			if got.err != nil {
				t.Fatal(got.err)
			}
			want := transport.Info{Kind: c.kind, Client: c.client, Local: c.local, Remote: socket.LocalAddr().String()}
			if want.Local == "" {
				want.Local = addr
			}
			if info := got.conn.Info(); info != want {
				t.Errorf("got %+v, want %+v", info, want)
			}
		})
	}
	t.Run("no TLS where it is required", func(t *testing.T) {
		addr, outcomes := behindProxy(t, transport.ProxyProtocol{Hops: onLoopback}, &transport.AcceptOptions{}, nil)
		resp, _, _ := send(t, addr, v1+handshake)
		wantRefusal(t, resp, <-outcomes, 403, transport.ErrCleartext)
	})
	t.Run("a client elsewhere is no local one", func(t *testing.T) {
		addr, outcomes := behindProxy(t, transport.ProxyProtocol{Hops: onLoopback}, &transport.AcceptOptions{Policy: transport.Development}, nil)
		resp, _, _ := send(t, addr, v1+handshake+"Host: localhost\r\n")
		wantRefusal(t, resp, <-outcomes, 403, transport.ErrCleartext)
	})
}

func TestProxyProtocolBelowTLS(t *testing.T) {
	s := httptest.NewTLSServer(nil) // for its certificate
	defer s.Close()
	roots := x509.NewCertPool()
	roots.AddCert(s.Certificate())
	addr, outcomes := behindProxy(t, transport.ProxyProtocol{Hops: onLoopback}, nil, &tls.Config{Certificates: s.TLS.Certificates})
	socket, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	io.WriteString(socket, "PROXY TCP4 192.0.2.7 198.51.100.1 4321 443\r\n")
	client := tls.Client(socket, &tls.Config{RootCAs: roots, ServerName: "example.com"})
	if _, err := io.WriteString(client, handshake+"Host: example.com\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	got := <-outcomes
	if got.err != nil || got.conn.Info().Kind != "wss" || got.conn.Info().Client != "192.0.2.7" {
		t.Fatalf("got %+v", got)
	}
}

// TestA49ProxyProtocolFromStrangers: who is not listed gets nowhere, with or
// without a header.
func TestA49ProxyProtocolFromStrangers(t *testing.T) {
	elsewhere := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
	refused := make(chan error, 9)
	addr, _ := behindProxy(t, transport.ProxyProtocol{Hops: elsewhere, OnRefuse: func(err error) { refused <- err }}, &transport.AcceptOptions{Sealed: true}, nil)
	for _, header := range []string{"", "PROXY TCP4 10.0.0.1 10.0.0.9 4321 443\r\n"} {
		socket, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		io.WriteString(socket, header+handshake+"Host: x\r\n\r\n")
		if got, err := io.ReadAll(socket); len(got) > 0 {
			t.Errorf("got %q, %v", got, err)
		}
		socket.Close()
		if err := <-refused; !strings.Contains(err.Error(), "none of ProxyProtocol.Hops") || !strings.Contains(err.Error(), "127.0.0.1") {
			t.Errorf("got %v", err)
		}
	}
	addr, outcomes := behindProxy(t, transport.ProxyProtocol{Hops: elsewhere, AllowDirect: true}, &transport.AcceptOptions{Sealed: true}, nil)
	send(t, addr, handshake)
	if got := <-outcomes; got.err != nil || got.conn.Info().Client != "127.0.0.1" {
		t.Errorf("got %+v", got)
	}
	if resp, _, _ := send(t, addr, "PROXY TCP4 10.0.0.1 10.0.0.9 4321 443\r\n"+handshake); resp.StatusCode != 400 {
		t.Errorf("a stranger's header: %v", resp.Status)
	}
}

func TestProxyHeadersThatAreNone(t *testing.T) {
	refused := make(chan error, 1)
	addr, _ := behindProxy(t, transport.ProxyProtocol{Hops: onLoopback, OnRefuse: func(err error) { refused <- err }}, nil, nil)
	socket, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	io.WriteString(socket, handshake+"Host: x\r\n\r\n")
	if got, err := io.ReadAll(socket); len(got) > 0 {
		t.Errorf("got %q, %v", got, err)
	}
	if err := <-refused; !strings.Contains(err.Error(), "no valid PROXY header") {
		t.Errorf("got %v", err)
	}
}

// TestSlowProxyHeaders: a connection that says nothing is cut, and holds nobody up
// until then.
func TestSlowProxyHeaders(t *testing.T) {
	refused := make(chan error, 1)
	addr, outcomes := behindProxy(t, transport.ProxyProtocol{Hops: onLoopback, Timeout: 300 * time.Millisecond, OnRefuse: func(err error) { refused <- err }},
		&transport.AcceptOptions{Sealed: true}, nil)
	slow, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer slow.Close()
	io.WriteString(slow, "PROXY TCP4 192")
	send(t, addr, "PROXY UNKNOWN\r\n"+handshake)
	if got := <-outcomes; got.err != nil {
		t.Fatal(got.err)
	}
	if got, _ := io.ReadAll(slow); len(got) > 0 {
		t.Errorf("got %q", got)
	}
	if err := <-refused; !errors.Is(err, context.DeadlineExceeded) && !strings.Contains(err.Error(), "timeout") {
		t.Errorf("got %v", err)
	}
}

func TestProxyListenerEnds(t *testing.T) {
	bare, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l, err := transport.ListenProxy(bare, transport.ProxyProtocol{Hops: onLoopback, Timeout: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	accepted := make(chan error, 1)
	go func() { _, err := l.Accept(); accepted <- err }()
	waiting, err := net.Dial("tcp", bare.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer waiting.Close()
	io.WriteString(waiting, "PROXY ")
	if err := l.Close(); err != nil {
		t.Error(err)
	}
	if err := <-accepted; !errors.Is(err, net.ErrClosed) {
		t.Errorf("got %v", err)
	}
	if got, _ := io.ReadAll(waiting); len(got) > 0 { // ends, since it was closed
		t.Errorf("got %q", got)
	}
	if _, err := l.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("got %v", err)
	}
	for _, opts := range []transport.ProxyProtocol{{}, {Hops: onLoopback, Timeout: -1}} {
		if _, err := transport.ListenProxy(bare, opts); err == nil {
			t.Errorf("%+v is taken", opts)
		}
	}
}

// A flaky listener fails once, as one does that is out of descriptors.
type flaky struct {
	net.Listener
	failed bool
}

var errFlaky = errors.New("out of descriptors")

func (f *flaky) Accept() (net.Conn, error) {
	if !f.failed {
		f.failed = true
		return nil, errFlaky
	}
	return f.Listener.Accept()
}

func TestProxyListenerHandsErrorsOn(t *testing.T) {
	bare, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l, err := transport.ListenProxy(&flaky{Listener: bare}, transport.ProxyProtocol{Hops: onLoopback})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if _, err := l.Accept(); err != errFlaky {
		t.Fatalf("got %v", err)
	}
	client, err := net.Dial("tcp", bare.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	io.WriteString(client, "PROXY UNKNOWN\r\n")
	conn, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	conn.Close()
}
