//go:build !js

package e2e_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/hopseal/hopseal/e2e"
	"github.com/hopseal/hopseal/transport"
	"github.com/hopseal/hopseal/transport/redial"
)

// terminate runs a hop that ends TLS, as a load balancer does, in front of a server
// that it reaches over TLS or not, and returns its address.
func terminate(t *testing.T, front *tls.Config, dial func() (net.Conn, error)) string {
	t.Helper()
	l, err := tls.Listen("tcp", "127.0.0.1:0", front)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			from, err := l.Accept()
			if err != nil {
				return
			}
			go pipe(from, dial)
		}
	}()
	return l.Addr().String()
}

func pipe(from net.Conn, dial func() (net.Conn, error)) {
	defer from.Close()
	to, err := dial()
	if err != nil {
		return
	}
	defer to.Close()
	go func() {
		io.Copy(to, from)
		to.Close()
	}()
	io.Copy(from, to)
}

// The ends find out together whether one TLS connection joins them, by a session's
// first connection and by each that follows.
func TestHopTLS(t *testing.T) {
	seen := make(chan e2e.HopTLS, 4)
	srv := newServer(t, hosting(bob, alice), func(ctx context.Context, s *e2e.Session) error {
		for {
			if _, err := s.Receive(ctx); err != nil {
				return err
			}
			seen <- s.Info().HopTLS
			if err := s.Send(ctx, nil); err != nil {
				return err
			}
		}
	})
	secure, plain := httptest.NewTLSServer(srv), httptest.NewServer(srv)
	t.Cleanup(secure.Close)
	t.Cleanup(plain.Close)
	roots := x509.NewCertPool()
	roots.AddCert(secure.Certificate())
	front := &tls.Config{Certificates: secure.TLS.Certificates}
	toSecure := func() (net.Conn, error) {
		return tls.Dial("tcp", secure.Listener.Addr().String(), &tls.Config{RootCAs: roots, ServerName: "example.com"})
	}
	toPlain := func() (net.Conn, error) { return net.Dial("tcp", plain.Listener.Addr().String()) }

	for name, test := range map[string]struct {
		url  string
		want e2e.HopTLS
	}{
		"direct":           {"wss" + strings.TrimPrefix(secure.URL, "https"), e2e.HopUnbroken},
		"cleartext":        {"ws" + strings.TrimPrefix(plain.URL, "http"), e2e.HopUnknown},
		"through a hop":    {"wss://" + terminate(t, front, toSecure), e2e.HopReterminated},
		"cleartext behind": {"wss://" + terminate(t, front, toPlain), e2e.HopUnknown},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := trusting(alice, bob)
			cfg.Dial = &transport.DialOptions{TLS: &transport.TLSOptions{Base: &tls.Config{RootCAs: roots}}}
			cfg.Retry = redial.Policy{Base: time.Millisecond}
			c := mustDialAs(t, test.url, cfg)
			for range 2 {
				mustSend(t, c, "what do you see")
				mustReceive(t, c, "")
				if got := <-seen; got != test.want || c.Info().HopTLS != test.want {
					t.Errorf("the server says %v, the client %v, want %v", got, c.Info().HopTLS, test.want)
				}
				e2e.ConnOf(c).Close(transport.CodeNormal, "") // and once more
			}
		})
	}
}
