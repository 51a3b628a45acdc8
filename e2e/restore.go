package e2e

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/hopseal/hopseal/internal/engine"
	"github.com/hopseal/hopseal/keys"
	"github.com/hopseal/hopseal/transport"
)

func (c Config) vault() vault { return vault{c.Store, c.StoreKeys} }

// adopt makes a session one of the server's, which its store has in this version.
func (srv *Server) adopt(ctx context.Context, s *Session, version uint64) {
	s.life, s.conclude = context.WithCancel(context.WithoutCancel(ctx))
	if srv.cfg.MaxParked < 0 {
		return
	}
	s.lost = func(*CloseError) { srv.settle(s) }
	s.found = func() { srv.settle(s) }
	s.renewed = func() { srv.index(s) }
	if srv.cfg.Store != nil {
		s.keeper = newKeeper(s, srv.cfg.vault(), "", version)
	}
}

// committed is called between the commit of a resume and the frame that tells the client
// of it: from here on it may be asked for by ids that nobody knew before.
func (srv *Server) committed(s *Session) error {
	srv.index(s)
	if s.keeper == nil {
		return nil
	}
	if err := s.keeper.sync(); err != nil {
		return s.unkept(err)
	}
	return nil
}

// restore goes on with a session that another process has begun, or that this one has
// lost to another. A first frame changes nothing, whoever sent it: the session is claimed
// when the client has shown that it holds the session's secret now and is welcome.
func (srv *Server) restore(ctx, entered context.Context, g *greeting, id [32]byte) (s *Session, err error) {
	entered, cancel := context.WithDeadline(entered, g.began.Add(srv.cfg.HandshakeTimeout))
	defer cancel()
	v := srv.cfg.vault()
	cfg, _ := srv.cfg.engine()
	peeked, _, err := v.load(entered, id, cfg)
	if errors.Is(err, ErrNotStored) {
		return nil, g.refuse(entered)
	}
	if err != nil { // which is not to say that there is none
		g.conn.Close(transport.CodeTryLater, "")
		return nil, fmt.Errorf("%w: %w", ErrStore, err)
	}
	r, err := engine.AnswerResume(cfg, peeked, g.began)
	if err != nil {
		return nil, g.refuse(entered)
	}
	c := &claim{srv: srv, greeting: g, resume: r, id: id}
	defer func() {
		if err != nil && c.reserved != nil {
			srv.remove(s, c.reserved)
		}
	}()
	h := handshake{conn: g.conn, engine: r, decide: c.decide}
	last, err := h.server(entered, g.first)
	if err != nil {
		c.failed(entered, err)
		return nil, err
	}
	made := bareSession(c.session, party{&srv.cfg, srv.cfg.verifyClient}, newEvents(srv.cfg))
	made.restored = true
	made.place.reservation = c.reserved
	made.entitle(r.Link(), g.grant)
	srv.adopt(ctx, made, c.version)
	srv.fence(made.keeper.key)
	s = made
	if err = srv.add(s); err == nil {
		err = s.keeper.save(entered, true)
	}
	if err == nil {
		err = h.finish(entered, last)
	}
	if err != nil { // the session stays in the store
		g.conn.Close(transport.CodeTryLater, "")
		s.fail(&CloseError{Err: err, Stored: true})
		return nil, err
	}
	s.joining = newLine(g.conn, r.Link(), r.Hop(), srv.cfg)
	return s.begun(), nil
}

// fence ends a session that this server had before somebody else did.
func (srv *Server) fence(key [32]byte) {
	srv.mu.Lock()
	s := srv.stored[key]
	srv.mu.Unlock()
	if s != nil {
		s.unkept(ErrFenced)
	}
}

// sweep clears the store, once in a ParkTimeout.
func (srv *Server) sweep() {
	if srv.cfg.Store == nil {
		return
	}
	srv.mu.Lock()
	defer srv.mu.Unlock()
	if now := time.Now(); !srv.closed && now.Sub(srv.swept) > srv.cfg.ParkTimeout {
		srv.swept = now
		srv.running.Go(func() {
			ctx, cancel := context.WithTimeout(context.Background(), sweepTimeout)
			defer cancel()
			srv.cfg.Store.Sweep(ctx) // another time
		})
	}
}

const sweepTimeout = time.Minute

// A claim is the decision about a client that comes back to a session of the store.
type claim struct {
	srv      *Server
	greeting *greeting
	resume   *engine.Resume
	id       [32]byte

	reserved *reservation    // at the server
	session  *engine.Session // what is claimed
	version  uint64          // of its record
	record   StoredSession   // that it was loaded from last
}

// decide asks whether the client is welcome, and claims the session as it is in the store then: whoever had
// it may have gone on since the first frame.
func (c *claim) decide(ctx context.Context, peer *keys.PublicIdentity) (err error) {
	if err := c.greeting.welcome(ctx, c.resume, Peer{PublicIdentity: peer}); err != nil {
		return err
	}
	if c.reserved, err = c.srv.reserve(peer); err != nil {
		return err
	}
	v := c.srv.cfg.vault()
	for {
		self, _ := c.srv.cfg.engine()
		latest, r, err := v.load(ctx, c.id, self)
		if err != nil {
			return fmt.Errorf("%w: %w", ErrStore, err)
		}
		c.record = r
		if err := c.resume.GoOn(latest); err != nil {
			return err
		}
		version, err := v.claim(ctx, latest, r)
		if errors.Is(err, ErrFenced) {
			continue // it was saved meanwhile; not for ever, because there is an end to what it may send
		}
		if err != nil {
			return fmt.Errorf("%w: %w", ErrStore, err)
		}
		c.session, c.version = latest, version
		return nil
	}
}

// failed removes the session of a client that is not welcome any more, or that the store
// has a state of which cannot be: the attempt was authentic.
func (c *claim) failed(ctx context.Context, err error) {
	v := c.srv.cfg.vault()
	var check *engine.Error
	rolledBack := errors.As(err, &check) && check.Reason == engine.ReasonAck
	if _, no := refuses(err); !no && !rolledBack {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), goodbyeTimeout)
	defer cancel()
	if c.record.Version == 0 {
		r, err := v.store.Load(ctx, c.id)
		if err != nil {
			return
		}
		c.record = r
	}
	v.store.Delete(ctx, c.record.Key, c.record.Version)
}

// keep stores that an attempt is made: another process must not make it again.
func (b *comeback) keep() error {
	k := b.session.keeper
	if k == nil {
		return nil
	}
	if err := k.sync(); err != nil {
		return &HandshakeError{Reason: ReasonLocal, Err: b.session.unkept(err)}
	}
	return nil
}

// goOn returns the session that another process of this client has stored, once it has a
// line, or nil if there is none.
func (c *client) goOn(ctx context.Context) (_ *Session, err error) {
	defer func() {
		if err != nil {
			c.events.tell(Event{State: StateClosed, Err: err})
		}
	}()
	if c.cfg.StoreName == "" {
		return nil, errors.New("e2e: Config.StoreName is empty: it names the session in the store")
	}
	v := c.cfg.vault()
	self, _ := c.cfg.engine()
	e, version, err := v.takeOver(ctx, storedName(c.cfg.StoreName), self)
	if err != nil {
		return nil, fmt.Errorf("e2e: %w: %w", ErrStore, err)
	}
	if e == nil {
		return nil, nil
	}
	s := bareSession(e, party{&c.cfg, c.verify}, c.events)
	s.restored = true
	s.keeper = newKeeper(s, v, c.cfg.StoreName, version)
	back := c.comesBack(s)
	s.begun()
	if err := back.first(ctx); err != nil {
		return nil, err
	}
	return s, nil
}

// takeOver claims a client's session, as it is then, or returns nil if there is none. What
// has expired or does not open is removed.
func (v vault) takeOver(ctx context.Context, id [32]byte, cfg engine.Config) (e *engine.Session, version uint64, err error) {
	for {
		e, r, err := v.load(ctx, id, cfg)
		switch {
		case errors.Is(err, ErrNotStored) && r.Version > 0:
			err = v.store.Delete(ctx, r.Key, r.Version)
		case errors.Is(err, ErrNotStored):
			return nil, 0, nil
		case err == nil:
			version, err = v.claim(ctx, e, r)
		}
		if !errors.Is(err, ErrFenced) { // by whoever has it, and saves
			return e, version, err
		}
	}
}

// first gets a session that was restored its first line, while the context lasts.
func (b *comeback) first(ctx context.Context) error {
	s := b.session
	defer context.AfterFunc(ctx, func() { s.goAway() })()
	go func() {
		_, err := b.dial(s.life)
		if err != nil {
			err = b.redial(err)
		}
		if err != nil {
			s.fail(&CloseError{Remote: true, Err: truncated{err}})
			return
		}
		s.attach(b.next)
	}()
	if err := s.linked(context.Background(), nil); err != nil {
		<-s.keeper.gone // so that the next Dial does not find it
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return err
	}
	return nil
}
