//go:build !js

package transport_test

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hopseal/hopseal/internal/pki"
	"github.com/hopseal/hopseal/transport"
)

// A hesitant listener has the first connection hear nothing before the second one, the probe, is
// over: the way of the first packets was lossy.
type hesitant struct {
	net.Listener
	once   sync.Once
	probed chan struct{}
}

func (h *hesitant) Accept() (net.Conn, error) {
	conn, err := h.Listener.Accept()
	if err != nil {
		return nil, err
	}
	first := false
	h.once.Do(func() { first = true })
	return &hesitantConn{Conn: conn, h: h, first: first}, nil
}

type hesitantConn struct {
	net.Conn
	h     *hesitant
	first bool
	once  sync.Once
}

func (c *hesitantConn) Read(b []byte) (int, error) {
	if c.first {
		select {
		case <-c.h.probed:
		case <-time.After(20 * time.Second):
		}
	}
	return c.Conn.Read(b)
}

func (c *hesitantConn) Close() error {
	err := c.Conn.Close()
	if !c.first {
		c.once.Do(func() { time.AfterFunc(100*time.Millisecond, func() { close(c.h.probed) }) })
	}
	return err
}

// Servers that want TLS answer who speaks plain HTTP to them in plain HTTP. That makes an
// https:// proxy that is slow to shake hands no http:// proxy.
func TestASlowProxyOverTLSIsNoPlainProxy(t *testing.T) {
	for name, answer := range map[string]string{
		"Go":     "", // as net/http itself does
		"nginx":  "HTTP/1.1 400 Bad Request\r\nServer: nginx\r\nConnection: close\r\n\r\n<center>The plain HTTP request was sent to HTTPS port</center>",
		"Apache": "HTTP/1.1 400 Bad Request\r\nContent-Length: 70\r\n\r\nYou're speaking plain HTTP to an SSL-enabled server port.<br />\n       ",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			target := strings.TrimPrefix(serve(t, nil, echo), "ws://")
			s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				conn, rw, err := http.NewResponseController(w).Hijack()
				if err != nil {
					t.Error(err)
					return
				}
				io.WriteString(conn, "HTTP/1.1 200 OK\r\n\r\n")
				splice(conn, rw, target)
			}))
			l := &hesitant{Listener: s.Listener, probed: make(chan struct{})}
			s.Listener = l
			if answer != "" {
				s.Listener = &mistaken{l, answer}
			}
			s.StartTLS()
			defer s.Close()
			conn := dial(t, "ws://localhost:1234/", &transport.DialOptions{
				Proxy:    via("https://" + l.Addr().String()),
				ProxyTLS: &transport.TLSOptions{RootsPEM: pki.PEM(s.Certificate())},
				Sealed:   true,
			})
			wantEcho(t, conn)
		})
	}
}

// A mistaken listener answers all connections but the first itself.
type mistaken struct {
	*hesitant
	answer string
}

func (m *mistaken) Accept() (net.Conn, error) {
	for {
		conn, err := m.hesitant.Accept()
		if err != nil || conn.(*hesitantConn).first {
			return conn, err
		}
		conn.Read(make([]byte, 1000))
		io.WriteString(conn, m.answer)
		conn.Close()
	}
}
