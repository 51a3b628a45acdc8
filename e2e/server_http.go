//go:build !js

package e2e

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/hopseal/hopseal/e2e/internal/lobby"
	"github.com/hopseal/hopseal/e2e/internal/outcome"
	"github.com/hopseal/hopseal/transport"
)

// ServeHTTP upgrades the request to a WebSocket, as [ServerConfig.Accept] says, and hands
// it over to [Server.ServeConn] in a goroutine; it does not wait for the session.
func (srv *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	why := srv.turnsAway()
	if why == nil {
		why = srv.lobby.AwaitUpgrade(r.Context(), srv.room(), srv.cfg.HandshakeTimeout/2)
	}
	if why != nil {
		srv.answerFull(w, r, why)
		return
	}
	conn, err := transport.Accept(w, r, srv.acceptOptions())
	if err != nil {
		err = fmt.Errorf("e2e: handshake failed: %w", err)
		srv.turnedAway(transport.Info{}, outcome.Upgrade, err)
		return
	}
	// Not the request's context: that ends with this call.
	go srv.ServeConn(context.WithoutCancel(r.Context()), conn) // which logs and counts its error
}

// answerFull tells a client when to come back.
func (srv *Server) answerFull(w http.ResponseWriter, r *http.Request, why error) {
	srv.turnedAway(transport.Info{}, outcome.Of(why), why)
	wait, told := 5*time.Second, "no room for another session now"
	if busy, ok := errors.AsType[*lobby.BusyError](why); ok {
		wait, told = busy.Wait, busy.Why.Error()
	}
	w.Header().Set("Retry-After", strconv.Itoa(int((wait+time.Second-1)/time.Second)))
	if r.ProtoMajor == 1 {
		w.Header().Set("Connection", "close") // as Accept does
	}
	http.Error(w, told, http.StatusServiceUnavailable)
}

// turnsAway says, before anything is computed for a client, why it cannot get a session. While
// sessions wait for their clients it lets all clients pass: those that come back are already
// counted.
func (srv *Server) turnsAway() error {
	srv.mu.Lock()
	defer srv.mu.Unlock()
	switch {
	case srv.closed:
		return ErrServerClosed
	case srv.quota.Full() && srv.parked.all.Len() == 0:
		return lobby.ErrFull
	}
	return nil
}

func (srv *Server) acceptOptions() *transport.AcceptOptions {
	opts := new(transport.AcceptOptions)
	if srv.given.Accept != nil {
		*opts = *srv.given.Accept
	}
	opts.MaxMessage = MaxFrame(srv.cfg.MaxMessage)
	opts.Sealed = true // by the session
	return opts
}
