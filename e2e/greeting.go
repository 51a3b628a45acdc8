package e2e

import (
	"context"
	"errors"
	"time"

	"github.com/hopseal/hopseal/e2e/internal/about"
	"github.com/hopseal/hopseal/e2e/internal/fault"
	"github.com/hopseal/hopseal/e2e/internal/flow"
	"github.com/hopseal/hopseal/e2e/internal/lobby"
	"github.com/hopseal/hopseal/e2e/internal/meet"
	"github.com/hopseal/hopseal/internal/engine"
	"github.com/hopseal/hopseal/keys"
	"github.com/hopseal/hopseal/transport"
)

// A greeting turns a new connection at a server into a session.
type greeting struct {
	meet.Greeting

	cfg     *config
	life    context.Context // its values go to the session
	seen    uint64          // what the server's follower had seen when the greeting began
	proving chan struct{}   // has room for each handshake that may be signed at a time
	grant   Grant           // what the client is entitled to, once it is welcome
}

// newGreeting returns the greeting of a connection. The guest is nil in Accept.
func newGreeting(life context.Context, cfg *config, conn transport.Conn, guest *lobby.Guest, proving, signing chan struct{}) *greeting {
	return &greeting{
		Greeting: meet.Greeting{Conn: conn, Guest: guest, Began: time.Now(), Timeout: cfg.HandshakeTimeout, Self: cfg.engine, Signing: signing},
		cfg:      cfg, life: life, proving: proving,
	}
}

// accept makes a session. After the Verifier it asks room whether there is space. It calls admit
// before it sends the last frame, because the client may come back for the session as soon as
// it has that frame.
func (g *greeting) accept(ctx context.Context, room func(*keys.PublicIdentity) error, admit func(*Session) error) (*Session, error) {
	if _, ok := engine.ResumeID(g.First); ok {
		return nil, g.Refuse(ctx)
	}
	if err := g.Guest.WaitForSlot(ctx, g.cfg.HandshakeTimeout/2); err != nil {
		return nil, g.TurnedDown(ctx, err)
	}
	self, signer := g.cfg.engine()
	e, err := engine.NewServer(self, g.Began)
	if err != nil {
		g.Conn.Close(transport.CodeNormal, "")
		return nil, err
	}
	h := meet.Handshake{Conn: g.Conn, Engine: e, Guest: g.Guest, Signer: signer, Turns: g.proving, Decide: func(ctx context.Context, peer *keys.PublicIdentity) error {
		if err := g.welcome(ctx, e, Peer{PublicIdentity: peer}); err != nil {
			return err
		}
		return room(peer)
	}}
	last, err := h.Server(ctx, g.First)
	if err != nil {
		return nil, err
	}
	s := newSession(g.life, g.Conn, e, g.grant, g.cfg, newEvents(g.cfg.Logger, g.cfg.Notify))
	made := s.engine.Link()
	if err := admit(s); err != nil {
		s.flow.Fail(&CloseError{Err: err})
		return nil, err
	}
	// A client that has come back on another connection meanwhile has received the frame.
	if err := h.Finish(ctx, last); err != nil && made.Condemn() {
		s.flow.Fail(&CloseError{Remote: true, Err: err})
		return nil, err
	}
	g.Guest.Authenticated()
	return s, nil
}

// welcome decides on a client, first on its identity and then on its credentials.
func (g *greeting) welcome(ctx context.Context, e meet.Exchange, peer Peer) (err error) {
	if err := g.cfg.verify(ctx, peer.PublicIdentity); err != nil {
		return err
	}
	g.grant, err = g.cfg.authenticate(ctx, peer, e.Credentials())
	e.Grant(g.grant.lifetime())
	return err
}

// resume goes on with a session. It calls committed between the commit and the frame that tells
// the client of it.
func (g *greeting) resume(ctx context.Context, s *Session, committed func() error) (*flow.Line, error) {
	self, _ := g.cfg.engine()
	r, err := engine.AnswerResume(self, s.engine, g.Began)
	if err != nil {
		return nil, g.Refuse(ctx)
	}
	h := meet.Handshake{Conn: g.Conn, Engine: r, Guest: g.Guest, Verify: g.cfg.verify, Decide: func(ctx context.Context, peer *keys.PublicIdentity) error {
		return g.welcome(about.Session(ctx, s.flow.Life()), r, Peer{peer, s.Peer().Claims})
	}}
	step, err := g.Answer(ctx, r)
	if busy := ctx.Err(); busy != nil || errors.Is(err, lobby.ErrBusy) {
		return nil, g.TurnedDown(ctx, g.Guest.Busy(err))
	}
	if err != nil {
		return nil, g.Refuse(ctx)
	}
	last, err := h.Run(ctx, step, nil)
	if err != nil {
		g.ended(s, h.Counted, err)
		return nil, err
	}
	s.entitle(r.Link(), r.Peer(), g.grant)
	s.flow.LeaveOld()
	if err := committed(); err != nil {
		g.Conn.Close(transport.CodeTryLater, "")
		return nil, err
	}
	if err := h.Finish(ctx, last); err != nil {
		return nil, err
	}
	return newLine(g.Conn, r.Link(), r.Hop(), g.cfg.MaxMessage), nil
}

// ended ends a session if a failed attempt to go on with it is a reason for that. An attempt
// that did not count is none, whatever was wrong with it: somebody may have held it back until
// it was wrong.
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
// the client comes back within HandshakeTimeout. The client may have given up this attempt, and
// somebody may have held it back until its credentials had expired.
func (g *greeting) endUnlessBack(s *Session, err error) {
	link := s.engine.Link()
	time.AfterFunc(g.cfg.HandshakeTimeout, func() {
		if !s.flow.Over() && link != nil && link.Condemn() {
			s.flow.CloseFor(CodeRefused, fault.Unwelcome(err))
		}
	})
}
