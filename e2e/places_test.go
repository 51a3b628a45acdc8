//go:build !js

package e2e_test

import (
	"testing"

	"github.com/hopseal/hopseal/e2e"
	"github.com/hopseal/hopseal/transport"
)

// A56: one identity gets so many sessions and no more; others get in, and itself again once
// one of them has ended.
func TestA56SessionsOfAnIdentityAreBounded(t *testing.T) {
	cfg := trusting(bob, alice, mallory)
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
	cfg := trusting(bob, alice)
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
