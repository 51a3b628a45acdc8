//go:build !js

package transport_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hopseal/hopseal/transport"
	"github.com/hopseal/hopseal/transport/redial"
)

// quick is a Retry for servers on this host.
func quick() redial.Policy {
	return redial.Policy{Base: time.Millisecond, Cap: 20 * time.Millisecond, MaxRetryAfter: time.Millisecond}
}

// to returns a dial function.
func to(url string, opts *transport.DialOptions) func(context.Context) (transport.Conn, error) {
	return func(ctx context.Context) (transport.Conn, error) { return transport.Dial(ctx, url, locally(opts)) }
}

func wantEcho(t *testing.T, conn transport.Conn) {
	t.Helper()
	mustWrite(t, conn, "hello")
	if got := mustRead(t, conn); got != "hello" {
		t.Fatalf("got %q", got)
	}
}

// echoOn serves on an address until it is killed: then every socket is cut.
func echoOn(t *testing.T, addr string) (url string, kill func()) {
	t.Helper()
	listener, err := net.Listen("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, err := transport.Accept(w, r, accepting(nil))
		if err != nil {
			return
		}
		defer conn.Close(transport.CodeNormal, "")
		echo(conn)
	}))
	server.Listener.Close()
	server.Listener = &cutter{Listener: listener}
	server.Start()
	kill = func() { server.Listener.(*cutter).cut(); server.Close() }
	t.Cleanup(kill)
	return "ws://" + listener.Addr().String(), kill
}

// A cutter remembers its connections and cuts them, as a killed process does.
type cutter struct {
	net.Listener
	conns []net.Conn // used by the one goroutine that accepts, and after it
}

func (c *cutter) Accept() (net.Conn, error) {
	conn, err := c.Listener.Accept()
	if err == nil {
		conn.(*net.TCPConn).SetLinger(0)
		c.conns = append(c.conns, conn)
	}
	return conn, err
}

func (c *cutter) cut() {
	c.Listener.Close()
	for _, conn := range c.conns {
		conn.Close()
	}
}

func TestAServerIsKilledAndComesBack(t *testing.T) {
	url, kill := echoOn(t, "127.0.0.1:0")
	retry := quick()
	var back atomic.Bool
	retry.Notify = func(e redial.Event) {
		var refused *transport.DialError
		if e.State == redial.Waiting && errors.As(e.Why, &refused) && !back.Swap(true) {
			_, kill = echoOn(t, strings.TrimPrefix(url, "ws://")) // not before a dial has failed
		}
	}
	d := redial.New(retry, to(url, nil))
	conn, err := d.Next(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	wantEcho(t, conn)
	kill()
	_, why := conn.Read(t.Context(), nil)
	if conn, err = d.Next(t.Context(), why); err != nil {
		t.Fatal(err)
	}
	defer conn.Close(transport.CodeNormal, "")
	wantEcho(t, conn)
	if !back.Load() {
		t.Error("no dial failed")
	}
}

func TestRetryAfterOverASocket(t *testing.T) {
	for name, test := range map[string]struct {
		status int
		header string
		want   time.Duration
	}{
		"seconds":         {503, "7200", 2 * time.Hour},
		"a date":          {429, time.Now().Add(100 * time.Hour).UTC().Format(http.TimeFormat), 24 * time.Hour},
		"nothing":         {503, "", 0},
		"an absurd value": {500, "-1 or so", 0},
	} {
		t.Run(name, func(t *testing.T) {
			var refusals atomic.Int32
			url := serveHTTP(t, func(w http.ResponseWriter, r *http.Request) {
				if refusals.Add(1) <= 3 {
					w.Header().Set("Retry-After", test.header)
					w.WriteHeader(test.status)
					return
				}
				if conn, err := transport.Accept(w, r, accepting(nil)); err == nil {
					echo(conn)
					conn.Close(transport.CodeNormal, "")
				}
			})
			retry := quick()
			retry.Decide = func(err error) redial.Action {
				var refused *transport.DialError
				if !errors.As(err, &refused) || refused.Status != test.status || refused.RetryAfter != test.want {
					t.Errorf("got %#v", err)
				}
				return redial.ActionFor(err)
			}
			conn, err := retry.Dial(t.Context(), to(url, nil))
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close(transport.CodeNormal, "")
			wantEcho(t, conn)
			if refusals.Load() != 4 {
				t.Errorf("%d dials", refusals.Load())
			}
		})
	}
}

// TestAnExpiredTokenIsRefreshed: a server that refuses it with 401, and later ends
// the link when it expires.
func TestAnExpiredTokenIsRefreshed(t *testing.T) {
	var valid atomic.Pointer[string]
	first, second := "Bearer first", "Bearer second"
	valid.Store(&first)
	expire := make(chan struct{}, 1)
	url := serveHTTP(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != *valid.Load() {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		conn, err := transport.Accept(w, r, accepting(nil))
		if err != nil {
			return
		}
		select {
		case <-expire:
			conn.Close(transport.CodeUnauthorized, "the token has expired")
		default:
			echo(conn)
			conn.Close(transport.CodeNormal, "")
		}
	})
	opts := &transport.DialOptions{Header: http.Header{"Authorization": {"Bearer old"}}}
	refreshes := 0
	retry := quick()
	retry.Refresh = func(context.Context) error {
		refreshes++
		opts.Header.Set("Authorization", *valid.Load())
		return nil
	}
	expire <- struct{}{}
	d := redial.New(retry, to(url, opts))
	conn, err := d.Next(t.Context(), nil)
	if err != nil || refreshes != 1 {
		t.Fatalf("%v after %d refreshes", err, refreshes)
	}
	_, why := conn.Read(t.Context(), nil)
	wantClosed(t, why, transport.CodeUnauthorized, true)
	valid.Store(&second)
	if conn, err = d.Next(t.Context(), why); err != nil || refreshes != 2 {
		t.Fatalf("%v after %d refreshes", err, refreshes)
	}
	defer conn.Close(transport.CodeNormal, "")
	wantEcho(t, conn)

	retry.Refresh = nil
	opts.Header.Set("Authorization", "Bearer old")
	_, err = retry.Dial(t.Context(), to(url, opts))
	wantReason(t, err, redial.GaveUpCredential)
	retry.Refresh = func(context.Context) error { return nil } // and it changes nothing
	_, err = retry.Dial(t.Context(), to(url, opts))
	wantReason(t, err, redial.GaveUpCredential)
	if strings.Contains(err.Error(), "old") {
		t.Errorf("A48: %v", err)
	}
}

func wantReason(t *testing.T, err error, reason redial.GaveUpReason) {
	t.Helper()
	var gaveUp *redial.GaveUpError
	if !errors.As(err, &gaveUp) || gaveUp.Reason != reason {
		t.Errorf("got %v", err)
	}
}

func TestWhatNoTimeCuresIsTriedOnce(t *testing.T) {
	for _, status := range []int{200, 302, 400, 403, 404, 407, 426} {
		var dials atomic.Int32
		url := serveHTTP(t, func(w http.ResponseWriter, r *http.Request) {
			dials.Add(1)
			w.Header().Set("Location", "/elsewhere?s3cr3t")
			w.WriteHeader(status)
		})
		_, err := quick().Dial(t.Context(), to(url, nil))
		wantReason(t, err, redial.GaveUpStopped)
		var refused *transport.DialError
		if !errors.As(err, &refused) || refused.Status != status || dials.Load() != 1 || strings.Contains(err.Error(), "s3cr3t") {
			t.Errorf("%d: %d dials, %v", status, dials.Load(), err)
		}
	}
	_, err := quick().Dial(t.Context(), to("gopher://example.com", nil))
	wantReason(t, err, redial.GaveUpStopped)
}

func TestAnOrderlyEndIsTheEnd(t *testing.T) {
	url := serve(t, nil, func(conn transport.Conn) { conn.Close(transport.CodeNormal, "that was all") })
	d := redial.New(quick(), to(url, nil))
	conn, err := d.Next(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	_, why := conn.Read(t.Context(), nil)
	_, err = d.Next(t.Context(), why)
	wantReason(t, err, redial.GaveUpStopped)
	if !errors.Is(err, io.EOF) || !errors.Is(err, net.ErrClosed) {
		t.Errorf("got %v", err)
	}
}
