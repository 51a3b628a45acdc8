package e2e

import (
	"context"
	"errors"
	"time"

	"github.com/hopseal/hopseal/e2e/internal/about"
	"github.com/hopseal/hopseal/e2e/internal/fault"
	"github.com/hopseal/hopseal/e2e/internal/flow"
	"github.com/hopseal/hopseal/e2e/internal/lobby"
	"github.com/hopseal/hopseal/internal/engine"
	"github.com/hopseal/hopseal/keys"
	"github.com/hopseal/hopseal/keys/trust"
	"github.com/hopseal/hopseal/transport"
)

// A greeting is what a server does with a new connection, up to a session.
type greeting struct {
	life  context.Context // of the session, for its values
	conn  transport.Conn
	cfg   *config
	began time.Time
	first []byte // the client's first frame
	grant Grant  // what it is entitled to, once it is welcome
	seen  uint64 // of the server's follower, when it began

	guest *lobby.Guest // nil in Accept

	proving chan struct{} // has a place for each handshake that may be signed at a time,
	signing chan struct{} // and for each refusal
}

// read waits for the first frame, which says what the client wants.
func (g *greeting) read(ctx context.Context) (err error) {
	g.first, err = firstFrame(ctx, g.conn, g.began.Add(g.cfg.HandshakeTimeout))
	g.guest.FrameCame()
	if err != nil {
		g.guest.Release()
		g.conn.Close(transport.CodePolicy, "")
	}
	return err
}

// accept makes a session. Behind the Verifier it asks room whether there is any. The
// client may come back for the session as soon as it has the last frame, so admit is
// called before.
func (g *greeting) accept(ctx context.Context, room func(*keys.PublicIdentity) error, admit func(*Session) error) (*Session, error) {
	if _, ok := engine.ResumeID(g.first); ok {
		return nil, g.refuse(ctx)
	}
	if err := g.guest.WaitForSlot(ctx, g.cfg.HandshakeTimeout/2); err != nil {
		return nil, g.turnedDown(ctx, err)
	}
	self, signer := g.cfg.engine()
	e, err := engine.NewServer(self, g.began)
	if err != nil {
		g.conn.Close(transport.CodeNormal, "")
		return nil, err
	}
	h := handshake{conn: g.conn, engine: e, guest: g.guest, signer: signer, turns: g.proving, decide: func(ctx context.Context, peer *keys.PublicIdentity) error {
		if err := g.welcome(ctx, e, Peer{PublicIdentity: peer}); err != nil {
			return err
		}
		return room(peer)
	}}
	last, err := h.server(ctx, g.first)
	if err != nil {
		return nil, err
	}
	s := newSession(g.life, g.conn, e, g.grant, localEnd{g.cfg, g.cfg.wantClient()}, newEvents(*g.cfg))
	made := s.engine.Link()
	if err := admit(s); err != nil {
		s.flow.Fail(&CloseError{Err: err})
		return nil, err
	}
	// A client that has come back meanwhile on another connection has had the frame.
	if err := h.finish(ctx, last); err != nil && made.Condemn() {
		s.flow.Fail(&CloseError{Remote: true, Err: err})
		return nil, err
	}
	g.guest.Authenticated()
	return s, nil
}

// turnedDown is the end of a connection for which there is no room.
func (g *greeting) turnedDown(ctx context.Context, why error) error {
	if ctx.Err() != nil {
		why = context.Cause(ctx)
	}
	g.guest.Release()
	lobby.HangUp(g.conn, transport.CodePolicy, why)
	return &HandshakeError{Reason: ReasonLocal, Err: why}
}

// welcome decides on a client, first on its identity and then on its credentials.
func (g *greeting) welcome(ctx context.Context, e exchange, peer Peer) (err error) {
	if err := g.cfg.verifyClient(ctx, peer.PublicIdentity); err != nil {
		return err
	}
	g.grant, err = g.cfg.authenticate(ctx, peer, e.Credentials())
	e.Grant(g.grant.lifetime())
	return err
}

func (c *config) verifyClient(ctx context.Context, peer *keys.PublicIdentity) error {
	return c.verify(ctx, c.wantClient(), peer)
}

func (c *config) wantClient() trust.Expected { return c.expect(trust.RoleClient, "") }

// resume goes on with a session. Between the commit and the frame that tells the client
// of it, it calls committed.
func (g *greeting) resume(ctx context.Context, s *Session, committed func() error) (*flow.Line, error) {
	self, _ := g.cfg.engine()
	r, err := engine.AnswerResume(self, s.engine, g.began)
	if err != nil {
		return nil, g.refuse(ctx)
	}
	h := handshake{conn: g.conn, engine: r, guest: g.guest, verify: g.cfg.verifyClient, decide: func(ctx context.Context, peer *keys.PublicIdentity) error {
		return g.welcome(about.Session(ctx, s.flow.Life()), r, Peer{peer, s.Peer().Claims})
	}}
	step, err := g.answer(ctx, r)
	if busy := ctx.Err(); busy != nil || errors.Is(err, lobby.ErrBusy) {
		return nil, g.turnedDown(ctx, g.guest.Busy(err))
	}
	if err != nil {
		return nil, g.refuse(ctx)
	}
	last, err := h.run(ctx, step, nil)
	if err != nil {
		g.ended(s, h.counted, err)
		return nil, err
	}
	s.entitle(r.Link(), r.Peer(), g.grant)
	s.flow.LeaveOld()
	if err := committed(); err != nil {
		g.conn.Close(transport.CodeTryLater, "")
		return nil, err
	}
	if err := h.finish(ctx, last); err != nil {
		return nil, err
	}
	return newLine(g.conn, r.Link(), r.Hop(), g.cfg), nil
}

// answer gives a resume its first frame. The error is [lobby.ErrBusy] where there are too many of its
// kind, or no time for it; any other but the context's says that whoever sent it does not hold
// the session's secret.
func (g *greeting) answer(ctx context.Context, r *engine.Resume) (step engine.Step, err error) {
	id, _ := engine.ResumeID(g.first)
	if err := g.guest.CheckRepeat(id, g.first); err != nil {
		return step, err
	}
	inTime, cancel := context.WithDeadline(ctx, r.Deadline())
	defer cancel()
	late := g.guest.Compute(inTime, lobby.StageResume, func() {
		if step, err = r.Start(time.Now()); err == nil {
			step, err = r.Receive(time.Now(), g.first)
		}
	})
	switch {
	case err == nil && late == nil:
		return step, g.guest.Return(id, g.first)
	case ctx.Err() != nil:
		return step, ctx.Err()
	case inTime.Err() != nil: // which says nothing of who sent it
		return step, lobby.ErrBusy
	}
	return step, err
}

// ended does what follows for a session from an attempt to go on with it that failed.
// Nothing follows from one that did not count, whatever was wrong with it: somebody may
// have held it back until it was wrong.
func (g *greeting) ended(s *Session, counted bool, err error) {
	switch reason, no := fault.Refuses(err); {
	case no && counted && reason == ReasonUntrusted:
		s.flow.Fail(fault.Unwelcome(err))
	case no && counted:
		g.endUnlessBack(s, err)
	}
	if failed := new(HandshakeError); errors.As(err, &failed) && failed.Reason == ReasonRolledBack {
		s.flow.Fail(&CloseError{Err: err})
	}
}

// endUnlessBack ends a session whose client has shown credentials that are not accepted, unless
// it comes back with others within the time that a handshake has. The attempt may be one
// that the client has given up, and that somebody held back until the credentials in it
// had expired.
func (g *greeting) endUnlessBack(s *Session, err error) {
	link := s.engine.Link()
	time.AfterFunc(g.cfg.HandshakeTimeout, func() {
		if !s.flow.Over() && link != nil && link.Condemn() {
			s.flow.CloseFor(CodeRefused, fault.Unwelcome(err))
		}
	})
}
