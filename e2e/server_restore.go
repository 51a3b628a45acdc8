package e2e

import (
	"context"
	"errors"
	"fmt"

	"github.com/hopseal/hopseal/e2e/internal/lobby"
	"github.com/hopseal/hopseal/e2e/internal/meet"
	"github.com/hopseal/hopseal/e2e/internal/vault"
	"github.com/hopseal/hopseal/e2e/sessionstore"
	"github.com/hopseal/hopseal/internal/engine"
	"github.com/hopseal/hopseal/transport"
)

// restore goes on with a stored session that another process has begun, or has taken from this
// one. Anybody may have sent the first frame, so restore answers it from the head of its id
// alone. It loads the session once r3 has opened, and claims it once the client is welcome.
func (srv *Server) restore(ctx, entered context.Context, g *greeting, id [32]byte) (s *Session, err error) {
	entered, cancel := context.WithDeadline(entered, g.Began.Add(srv.cfg.HandshakeTimeout))
	defer cancel()
	c, step, err := srv.beginClaim(entered, g, id)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil && c.reserved != nil {
			srv.cancel(c.reserved)
		}
	}()
	h := meet.Handshake{Conn: g.Conn, Engine: c.resume, Guest: g.Guest, Verify: g.cfg.verify, Load: c.load, Decide: c.decide}
	last, err := h.Run(entered, step, nil)
	if err != nil {
		c.failed(entered, err)
		return nil, err
	}
	s = bareSession(ctx, c.latest.Session, &srv.cfg, newEvents(srv.cfg.Logger, srv.cfg.Notify))
	s.restored = true
	c.reserved.session = s
	s.entitle(c.resume.Link(), c.resume.Peer(), g.grant)
	srv.adopt(s, c.latest)
	srv.endFenced(s.keeper.Key())
	if err = srv.add(c.reserved, g.seen); err == nil {
		err = s.keeper.Save(entered)
	}
	if err == nil {
		err = h.Finish(entered, last)
	}
	if err != nil { // the session stays stored
		g.Conn.Close(transport.CodeTryLater, "")
		s.flow.Fail(&CloseError{Err: err, Stored: true})
		return nil, err
	}
	s.joining = newLine(g.Conn, c.resume.Link(), c.resume.Hop(), srv.cfg.MaxMessage)
	return s.begun(), nil
}

// beginClaim answers a first frame, if it could be for a stored session. That costs one small
// read of the store. A frame that leads to no session slows down the next ones of its address.
func (srv *Server) beginClaim(ctx context.Context, g *greeting, id [32]byte) (c *claim, step engine.Step, err error) {
	err = srv.suspects.Do(ctx, lobby.AddressOf(g.Conn.Info()), func() error {
		to, err := srv.lookups.Find(ctx, id)
		defer clear(to.Secret[:])
		if err == nil {
			c, step, err = srv.answerFrom(ctx, g, to)
		}
		return err
	})
	switch {
	case errors.Is(err, lobby.ErrBusy):
		return nil, step, g.TurnedDown(ctx, g.Guest.Busy(err))
	case errors.Is(err, sessionstore.ErrNotStored):
		return nil, step, g.Refuse(ctx)
	case err != nil: // a session may be stored all the same
		g.Conn.Close(transport.CodeTryLater, "")
		return nil, step, err
	}
	return c, step, nil
}

// answerFrom answers a first frame from the head of its id. The error matches
// [sessionstore.ErrNotStored] if its sender has not shown the secret in the head.
func (srv *Server) answerFrom(ctx context.Context, g *greeting, to vault.Lead) (_ *claim, step engine.Step, err error) {
	cfg, _ := srv.cfg.engine()
	r, err := engine.AnswerStored(cfg, to.Secret, g.Began)
	if err == nil {
		step, err = g.Answer(ctx, r)
	}
	switch {
	case errors.Is(err, lobby.ErrBusy), ctx.Err() != nil:
		return nil, step, err
	case err != nil:
		return nil, step, fmt.Errorf("%w: %w", sessionstore.ErrNotStored, err)
	}
	return &claim{srv: srv, greeting: g, resume: r, key: to.Key}, step, nil
}
