//go:build !js

package stepclock_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/hopseal/hopseal/internal/stepclock"
	"github.com/hopseal/hopseal/transport"
	"github.com/hopseal/hopseal/transport/redial"
)

// A pause that a server has asked for lasts as long as it asked.
func TestSetRedial(t *testing.T) {
	whatever(t, func(t *testing.T, set func()) time.Duration {
		tries := 0
		redialer := redial.New(redial.Policy{Base: time.Nanosecond}, func(context.Context) (transport.Conn, error) {
			if tries++; tries == 1 {
				return nil, &transport.DialError{Status: http.StatusServiceUnavailable, RetryAfter: 4 * time.Minute}
			}
			a, b := transport.Pipe()
			t.Cleanup(func() { a.Cut(); b.Cut() })
			return a, nil
		})
		start := time.Now()
		time.AfterFunc(2*time.Minute, set)
		if _, err := redialer.Next(t.Context(), nil); err != nil {
			t.Error(err)
		}
		return time.Since(start)
	})
}

// A connection ends with what was granted to it, and one that nobody uses when it is idle.
func TestSetConnection(t *testing.T) {
	for name, c := range map[string]struct{ idle, grant time.Duration }{
		"lease": {grant: 10 * time.Minute},
		"idle":  {idle: 10 * time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			whatever(t, func(t *testing.T, set func()) time.Duration {
				opts := transport.AcceptOptions{Sealed: true, KeepAlive: -1}
				if c.idle > 0 {
					opts.Gate = transport.NewGate(&transport.GateOptions{IdleTimeout: c.idle})
				}
				opts.Authenticate = func(context.Context, *transport.Caller) (g transport.Grant, err error) {
					if c.grant > 0 {
						g.Expires = stepclock.Now().Round(0).Add(c.grant)
					}
					return g, nil
				}
				return connected(t, &opts, set)
			})
		})
	}
}

// connected accepts a connection over a pipe, sets the clock after five minutes, and returns how
// long it lasted.
func connected(t *testing.T, opts *transport.AcceptOptions, set func()) time.Duration {
	ours, theirs := net.Pipe()
	dials := make(pipes, 1)
	ended := make(chan struct{})
	server := transport.NewHTTPServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer close(ended)
		conn, err := transport.Accept(w, r, opts)
		if err != nil {
			t.Error(err)
			return
		}
		conn.Read(context.Background(), nil)
	}))
	go server.Serve(dials)
	defer func() { close(dials); server.Close(); ours.Close() }()
	dials <- theirs
	go fmt.Fprintf(ours, "GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
	go io.Copy(io.Discard, ours)
	start := time.Now()
	time.AfterFunc(5*time.Minute, set)
	<-ended
	return time.Since(start)
}

type pipes chan net.Conn

func (l pipes) Accept() (net.Conn, error) {
	if c, ok := <-l; ok {
		return c, nil
	}
	return nil, net.ErrClosed
}

func (l pipes) Close() error   { return nil }
func (l pipes) Addr() net.Addr { return &net.UnixAddr{Name: "pipe", Net: "unix"} }
