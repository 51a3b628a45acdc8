package e2e_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hopseal/hopseal/e2e"
	"github.com/hopseal/hopseal/keys/trust"
	"github.com/hopseal/hopseal/transport"
)

// join connects alice to a server over a pipe. The result is what ServeConn
// returns.
func join(t testing.TB, srv *e2e.Server) (*e2e.Session, <-chan error) {
	t.Helper()
	a, b := transport.Pipe()
	result := serve(srv, b)
	c, err := e2e.Connect(t.Context(), a, "pipe", trusting(alice, bob))
	if err != nil {
		t.Fatalf("Connect: %v (server: %v)", err, <-result)
	}
	t.Cleanup(func() { c.Close() })
	return c, result
}

func TestServerRunsItsFunctionForEachSession(t *testing.T) {
	srv := newServer(t, hosting(bob, alice), func(ctx context.Context, s *e2e.Session) error {
		if s.Peer().Fingerprint() != alice.Fingerprint() {
			t.Error("a stranger got in")
		}
		return echo(ctx, s)
	})
	for _, message := range messages(3) {
		c, result := join(t, srv)
		mustSend(t, c, message)
		mustReceive(t, c, message)
		c.Close()
		if err := <-result; err != nil {
			t.Errorf("ServeConn: %v", err)
		}
	}
}

// What a function returns is what its client learns, and no more of it than a code.
func TestServerClosesAsItsFunctionReturns(t *testing.T) {
	broken := errors.New("the secret reason")
	for name, test := range map[string]struct {
		returns func() error
		code    e2e.Code
		eof     bool
		result  func(err error) bool
	}{
		"nil":   {func() error { return nil }, e2e.CodeDone, true, func(err error) bool { return err == nil }},
		"error": {func() error { return broken }, e2e.CodeFailed, false, func(err error) bool { return err == broken }},
		"panic": {func() error { panic("oops") }, e2e.CodeFailed, false, func(err error) bool {
			var p *e2e.PanicError
			return errors.As(err, &p) && p.Value == "oops" && strings.Contains(err.Error(), "server_test.go")
		}},
	} {
		t.Run(name, func(t *testing.T) {
			srv := newServer(t, hosting(bob, alice), func(context.Context, *e2e.Session) error { return test.returns() })
			c, result := join(t, srv)
			wantEnd(t, c, e2e.CloseError{Remote: true, Code: test.code}, test.eof)
			if err := <-result; !test.result(err) {
				t.Errorf("ServeConn: %v", err)
			}
		})
	}
}

// A panic in the Verifier ends one handshake, not the program.
func TestPanicInVerifierIsContained(t *testing.T) {
	cfg := hosting(bob)
	cfg.Verifier = &asked{answer: func(context.Context) error { panic("oops") }}
	a, b := transport.Pipe()
	result := serve(newServer(t, cfg, echo), b)
	_, err := e2e.Connect(t.Context(), a, "", trusting(alice, bob))
	wantHandshake(t, err, e2e.ReasonUnavailable)
	var p *e2e.PanicError
	if err := <-result; !errors.As(err, &p) {
		t.Errorf("ServeConn: %v", err)
	}
}

// A Verifier that ends its goroutine, as a test's might, ends one handshake likewise.
func TestGoexitInVerifierIsContained(t *testing.T) {
	cfg := hosting(bob)
	cfg.Verifier = &asked{answer: func(context.Context) error { runtime.Goexit(); return nil }}
	a, b := transport.Pipe()
	result := serve(newServer(t, cfg, echo), b)
	_, err := e2e.Connect(t.Context(), a, "", trusting(alice, bob))
	wantHandshake(t, err, e2e.ReasonUnavailable)
	if err := <-result; err == nil {
		t.Error("ServeConn reports no error")
	}
}

func TestFunctionsContextEndsWithTheSession(t *testing.T) {
	ended := make(chan struct{})
	srv := newServer(t, hosting(bob, alice), func(ctx context.Context, s *e2e.Session) error {
		go s.Receive(ctx) // notices the end
		<-ctx.Done()
		close(ended)
		return ctx.Err()
	})
	c, result := join(t, srv)
	c.Close()
	<-ended
	if err := <-result; err != nil {
		t.Errorf("ServeConn: %v", err)
	}
}

type contextKey struct{}

func TestServeConnContext(t *testing.T) {
	srv := newServer(t, hosting(bob, alice), func(ctx context.Context, s *e2e.Session) error {
		s.Send(ctx, []byte(ctx.Value(contextKey{}).(string)))
		return echo(ctx, s)
	})
	ctx, cancel := context.WithCancel(context.WithValue(context.Background(), contextKey{}, "from outside"))
	a, b := transport.Pipe()
	result := make(chan error, 1)
	go func() { result <- srv.ServeConn(ctx, b) }()
	c, err := e2e.Connect(t.Context(), a, "", trusting(alice, bob))
	if err != nil {
		t.Fatal(err)
	}
	mustReceive(t, c, "from outside")
	cancel()
	wantEnd(t, c, e2e.CloseError{Remote: true, Code: e2e.CodeGoingAway}, false)
	if err := <-result; err != nil {
		t.Errorf("ServeConn: %v", err)
	}
}

// Shutdown: clients are told, functions end, newcomers are turned away, and nothing
// is left running.
func TestShutdown(t *testing.T) {
	srv := newServer(t, hosting(bob, alice), echo)
	var clients []*e2e.Session
	for range 5 {
		c, _ := join(t, srv)
		mustSend(t, c, "hello")
		mustReceive(t, c, "hello")
		clients = append(clients, c)
	}
	if err := srv.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, c := range clients {
		wantEnd(t, c, e2e.CloseError{Remote: true, Code: e2e.CodeGoingAway}, false)
	}
	a, b := transport.Pipe()
	if err := srv.ServeConn(t.Context(), b); err != e2e.ErrServerClosed {
		t.Errorf("ServeConn after Shutdown: %v", err)
	}
	if _, err := a.Read(t.Context(), nil); !errors.Is(err, net.ErrClosed) {
		t.Errorf("a connection was left open: %v", err)
	}
}

// Shutdown does not wait for a handshake's deadline, nor for a function that waits
// for nothing but its context.
func TestShutdownEndsWhatWaits(t *testing.T) {
	bubble(t, func(t *testing.T) {
		srv, err := e2e.NewServer(hosting(bob, alice), func(ctx context.Context, _ *e2e.Session) error {
			<-ctx.Done()
			return ctx.Err()
		})
		if err != nil {
			t.Fatal(err)
		}
		c, served := join(t, srv)
		_, other := transport.Pipe()
		handshake := serve(srv, other)
		synctest.Wait()
		start := time.Now()
		if err := srv.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
		if waited := time.Since(start); waited != 0 {
			t.Errorf("Shutdown took %v", waited)
		}
		if failed := wantHandshake(t, <-handshake, e2e.ReasonLocal); !errors.Is(failed, e2e.ErrServerClosed) {
			t.Errorf("the handshake: %v", failed)
		}
		if err := <-served; err != nil {
			t.Errorf("ServeConn: %v", err)
		}
		wantEnd(t, c, e2e.CloseError{Remote: true, Code: e2e.CodeGoingAway}, false)
	})
}

func TestShutdownGivesUpOnFunctionsThatStay(t *testing.T) {
	bubble(t, func(t *testing.T) {
		running, release := make(chan struct{}), make(chan struct{})
		srv, err := e2e.NewServer(hosting(bob, alice), func(context.Context, *e2e.Session) error {
			close(running)
			<-release
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		c, result := join(t, srv)
		<-running
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := srv.Shutdown(ctx); err != context.DeadlineExceeded {
			t.Errorf("Shutdown: %v", err)
		}
		wantEnd(t, c, e2e.CloseError{Remote: true, Code: e2e.CodeGoingAway}, false)
		close(release)
		<-result
	})
}

// A33: peers who stall fill the lobby and push out one another; an honest client
// gets in soon, however many they are.
func TestA33HonestClientGetsInUnderFlood(t *testing.T) {
	bubble(t, func(t *testing.T) {
		cfg := hosting(bob, alice)
		cfg.MaxHandshakes = 8
		srv := newServer(t, cfg, echo)
		var m1 []byte
		record, _ := transport.Pipe(transport.WithFaults(func(m []byte) [][]byte { m1 = m; return nil }, nil))
		e2e.Connect(context.Background(), record, "", trusting(alice, bob))

		var cut []<-chan error
		flood := func(n int) {
			for i := range n {
				a, b := transport.Pipe()
				cut = append(cut, serve(srv, b))
				if i%2 == 0 { // half of them send something that costs the server work
					a.Write(t.Context(), m1)
				}
				synctest.Wait()
			}
		}
		flood(50)
		start := time.Now()
		c, _ := join(t, srv)
		flood(50)
		mustSend(t, c, "hello")
		mustReceive(t, c, "hello")
		if time.Since(start) > time.Second {
			t.Errorf("the honest client waited for %v", time.Since(start))
		}
		// Those who were pushed out are gone already, not only at their deadline. Of the others some
		// have said nothing, some wait for a place, and some have one.
		gone := 0
		for _, result := range cut {
			select {
			case err := <-result:
				wantHandshake(t, err, e2e.ReasonLocal)
				gone++
			default:
			}
		}
		if left := 100 - gone; left > 3*cfg.MaxHandshakes {
			t.Errorf("%d of 100 are left", left)
		}
	})
}

func TestMaxSessions(t *testing.T) {
	cfg := hosting(bob, alice)
	cfg.MaxSessions = 2
	srv := newServer(t, cfg, echo)
	first, result := join(t, srv)
	second, _ := join(t, srv)
	a, b := transport.Pipe()
	third := serve(srv, b)
	_, err := e2e.Connect(t.Context(), a, "", trusting(alice, bob))
	if failed := wantHandshake(t, err, e2e.ReasonUnavailable); failed.Permanent() {
		t.Error("called permanent")
	}
	wantHandshake(t, <-third, e2e.ReasonLocal)
	// When one leaves there is room for one.
	first.Close()
	<-result
	c, _ := join(t, srv)
	for _, s := range []*e2e.Session{second, c} {
		mustSend(t, s, "hello")
		mustReceive(t, s, "hello")
	}
}

// Many clients at the same time, some of them hostile, under the race detector.
func TestServerUnderMixedLoad(t *testing.T) {
	cfg := hosting(bob, alice)
	cfg.MaxSessions, cfg.MaxHandshakes = 100, 100
	srv := newServer(t, cfg, echo)
	var work sync.WaitGroup
	for i := range 60 {
		work.Go(func() {
			a, b := transport.Pipe()
			result := serve(srv, b)
			switch i % 4 {
			case 0: // garbage
				a.Write(t.Context(), make([]byte, i*100))
				wantHandshake(t, <-result, e2e.ReasonNotAuthentic)
			case 1: // a stranger
				_, err := e2e.Connect(t.Context(), a, "", trusting(mallory, bob))
				wantHandshake(t, err, e2e.ReasonRefused)
				<-result
			default:
				c, err := e2e.Connect(t.Context(), a, "", trusting(alice, bob))
				if err != nil {
					t.Error(err)
					return
				}
				for _, m := range messages(20) {
					m = fmt.Sprint(i, m)
					mustSend(t, c, m)
					mustReceive(t, c, m)
				}
				c.Close()
				if err := <-result; err != nil {
					t.Error(err)
				}
			}
		})
	}
	work.Wait()
}

var _ trust.Verifier = (*asked)(nil)

// A session does not outlive its function, however that ends.
func TestGoexitInAServersFunctionEndsItsSession(t *testing.T) {
	bubble(t, func(t *testing.T) {
		srv := newServer(t, hosting(bob, alice), func(context.Context, *e2e.Session) error {
			runtime.Goexit()
			return nil
		})
		c := (&road{srv: srv}).client(t, trusting(alice, bob))
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		_, err := c.Receive(ctx)
		var closed *e2e.CloseError
		if !errors.As(err, &closed) || !closed.Remote || closed.Code != e2e.CodeFailed {
			t.Errorf("the client's end: %v", err)
		}
	})
}
