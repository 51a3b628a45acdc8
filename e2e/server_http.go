//go:build !js

package e2e

import (
	"context"
	"fmt"
	"net/http"

	"github.com/hopseal/hopseal/transport"
)

// ServeHTTP upgrades the request to a WebSocket, as [Config.Accept] says, and hands
// it over to [Server.ServeConn] in a goroutine; it does not wait for the session.
func (srv *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if why := srv.turnsAway(); why != nil {
		srv.turnedAway(transport.Info{}, outcomeOf(why), why)
		w.Header().Set("Retry-After", "5")
		if r.ProtoMajor == 1 {
			w.Header().Set("Connection", "close") // as Accept does
		}
		http.Error(w, "no room for another session now", http.StatusServiceUnavailable)
		return
	}
	conn, err := transport.Accept(w, r, srv.cfg.acceptOptions())
	if err != nil {
		err = fmt.Errorf("e2e: %w: %w", ErrHandshake, err)
		srv.turnedAway(transport.Info{}, outcomeUpgrade, err)
		srv.report(err)
		return
	}
	// Not the request's context: that ends with this call.
	go func() { srv.report(srv.ServeConn(context.WithoutCancel(r.Context()), conn)) }()
}

// report hands an error of ServeConn to whoever wants it. It is logged already.
func (srv *Server) report(err error) {
	if err != nil && srv.cfg.OnError != nil {
		srv.cfg.OnError(err)
	}
}

// turnsAway says why nobody can get a session, before anything is computed for him. While
// sessions wait for their clients it may be one of those: they need no other place.
func (srv *Server) turnsAway() error {
	srv.mu.Lock()
	defer srv.mu.Unlock()
	switch {
	case srv.closed:
		return ErrServerClosed
	case srv.places.full() && srv.parking.all.Len() == 0:
		return errFull
	}
	return nil
}

func (c Config) acceptOptions() *transport.AcceptOptions {
	opts := new(transport.AcceptOptions)
	if c.Accept != nil {
		*opts = *c.Accept
	}
	opts.MaxMessage = MaxFrame(c.MaxMessage)
	opts.Sealed = true // by the session
	return opts
}
