//go:build !js

package e2e_test

import (
	"context"
	"errors"
	"testing"

	"github.com/hopseal/hopseal/e2e"
	"github.com/hopseal/hopseal/e2e/sessionstore"
	"github.com/hopseal/hopseal/transport"
)

// A56: one identity gets so many sessions and no more; others get in, and itself again once
// one of them has ended.
func TestA56SessionsOfAnIdentityAreBounded(t *testing.T) {
	cfg := hosting(bob, alice, mallory)
	cfg.MaxSessionsPerIdentity = 2
	srv := newServer(t, cfg, echo)
	first, result := join(t, srv)
	join(t, srv)
	a, b := transport.Pipe()
	third := serve(srv, b)
	_, err := e2e.Connect(t.Context(), a, "", trusting(alice, bob))
	if failed := wantHandshake(t, err, e2e.ReasonUnavailable); failed.Permanent() {
		t.Error("called permanent")
	}
	wantHandshake(t, <-third, e2e.ReasonLocal)
	if full := srv.Stats().Greeted["full"]; full != 1 {
		t.Errorf("%d counted as full", full)
	}
	a, b = transport.Pipe()
	serve(srv, b)
	other, err := e2e.Connect(t.Context(), a, "", trusting(mallory, bob))
	if err != nil {
		t.Fatalf("another identity: %v", err)
	}
	defer other.Close()
	mustSend(t, other, "hello")
	mustReceive(t, other, "hello")
	first.Close()
	<-result
	join(t, srv)
}

// A server that is full lets the clients back that it waits for: they have their places.
func TestFullServerLetsItsOwnClientsBack(t *testing.T) {
	cfg := hosting(bob, alice)
	cfg.MaxSessions, cfg.MaxSessionsPerIdentity = 1, 1
	c := mustDial(t, listen(t, newServer(t, cfg, echo)))
	for range 3 {
		mustSend(t, c, "hello")
		mustReceive(t, c, "hello")
		e2e.ConnOf(c).Close(transport.CodeGoingAway, "")
		mustSend(t, c, "back")
		mustReceive(t, c, "back")
	}
}

// A56: a client that goes before its last frame can be written leaves no session behind, whether
// its session is new or restored.
func TestA56HandshakeThatFailsAtTheEndLeavesNothing(t *testing.T) {
	bubble(t, func(t *testing.T) {
		cfg := stored(hosting(bob, alice), sessionstore.Memory())
		elsewhere, srv := newServer(t, cfg, echo), newServer(t, cfg, echo)
		wantNone := func(what string) {
			t.Helper()
			if left := srv.Stats().Sessions; left != 0 {
				t.Errorf("%s: %d sessions are left", what, left)
			}
		}
		for range 3 {
			a, b := transport.Pipe()
			result := serve(srv, &oneWrite{Conn: b})
			if _, err := e2e.Connect(t.Context(), a, "", trusting(alice, bob)); err == nil {
				t.Fatal("a session without its last frame")
			}
			<-result
		}
		wantNone("new ones")
		n, last := 0, (*transport.PipeConn)(nil)
		c, err := e2e.DialFunc(t.Context(), "pipe", trusting(alice, bob), func(context.Context) (transport.Conn, error) {
			a, b := transport.Pipe()
			last = a
			switch n++; {
			case n == 1:
				serve(elsewhere, b)
			case n <= 4:
				serve(srv, &oneWrite{Conn: b})
			default:
				wantNone("restored ones")
				serve(elsewhere, b)
			}
			return a, nil
		})
		if err != nil {
			t.Fatal(err)
		}
		last.Cut()
		mustSend(t, c, "back")
		mustReceive(t, c, "back")
		if n != 5 {
			t.Errorf("%d connections, want 5", n)
		}
		c.Close()
	})
}

// oneWrite is a Conn of a server that can write one frame.
type oneWrite struct {
	transport.Conn
	written bool
}

func (o *oneWrite) Write(ctx context.Context, frame []byte) error {
	if o.written {
		return errors.New("the client is gone")
	}
	o.written = true
	return o.Conn.Write(ctx, frame)
}
