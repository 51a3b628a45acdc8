package e2e

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/hopseal/hopseal/e2e/internal/fault"
	"github.com/hopseal/hopseal/e2e/sessionstore"
	"github.com/hopseal/hopseal/internal/engine"
	"github.com/hopseal/hopseal/transport"
)

// adopt makes a session one of the server's. What the server has claimed is the zero value for
// a session that is not stored yet.
func (srv *Server) adopt(ctx context.Context, s *Session, claimed loaded) {
	s.life, s.conclude = context.WithCancel(context.WithoutCancel(ctx))
	if srv.given.MaxParked < 0 {
		return
	}
	s.lost = func(*CloseError) { srv.settle(s) }
	s.found = func() { srv.settle(s) }
	s.renewed = func() { srv.index(s) }
	if srv.cfg.Store != nil {
		keepIn(s, srv.vault, "", claimed)
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
// lost to another. The first frame, which anybody may have sent, is answered from the head of
// its id alone. The session is read when r3 has opened, and claimed when the client is
// welcome.
func (srv *Server) restore(ctx, entered context.Context, g *greeting, id [32]byte) (s *Session, err error) {
	entered, cancel := context.WithDeadline(entered, g.began.Add(srv.cfg.HandshakeTimeout))
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
	h := handshake{conn: g.conn, engine: c.resume, guest: g.guest, desk: g.desk, verify: g.cfg.verifyClient, load: c.load, decide: c.decide}
	last, err := h.run(entered, step, nil)
	if err != nil {
		c.failed(entered, err)
		return nil, err
	}
	s = bareSession(c.latest.session, localEnd{&srv.cfg, srv.cfg.wantClient()}, newEvents(srv.cfg))
	s.restored = true
	c.reserved.reservedFor(s)
	s.entitle(c.resume.Link(), c.resume.Peer(), g.grant)
	srv.adopt(ctx, s, c.latest)
	srv.fence(s.keeper.key)
	if err = srv.add(s, g.seen); err == nil {
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
	s.joining = newLine(g.conn, c.resume.Link(), c.resume.Hop(), srv.cfg)
	return s.begun(), nil
}

// beginClaim answers a first frame, if there is a session that it could be for.
func (srv *Server) beginClaim(ctx context.Context, g *greeting, id [32]byte) (c *claim, step engine.Step, err error) {
	err = srv.lookups.find(ctx, g.conn.Info(), id, func(to lead) (err error) {
		c, step, err = srv.follow(ctx, g, to)
		return err
	})
	switch {
	case errors.Is(err, errBusy):
		return nil, step, g.turnedDown(ctx, g.guest.sent(err))
	case errors.Is(err, sessionstore.ErrNotStored):
		return nil, step, g.refuse(ctx)
	case err != nil: // which is not to say that there is none
		g.conn.Close(transport.CodeTryLater, "")
		return nil, step, err
	}
	return c, step, nil
}

// follow answers a first frame from the head of its id. Whoever sent it has not shown the
// secret in that if the error matches [sessionstore.ErrNotStored].
func (srv *Server) follow(ctx context.Context, g *greeting, to lead) (_ *claim, step engine.Step, err error) {
	cfg, _ := srv.cfg.engine()
	r, err := engine.AnswerStored(cfg, to.secret, g.began)
	if err == nil {
		step, err = g.answer(ctx, r)
	}
	switch {
	case errors.Is(err, errBusy), ctx.Err() != nil:
		return nil, step, err
	case err != nil:
		return nil, step, fmt.Errorf("%w: %w", sessionstore.ErrNotStored, err)
	}
	return &claim{srv: srv, greeting: g, resume: r, key: to.key}, step, nil
}

// fence ends a session that this server had before somebody else did.
func (srv *Server) fence(key [32]byte) {
	srv.mu.Lock()
	s := srv.stored[key]
	srv.mu.Unlock()
	if s != nil {
		s.unkept(sessionstore.ErrFenced)
	}
}

// sweep clears the store, once in a ParkTimeout. Where the wall clock was set meanwhile it
// waits for another ParkTimeout, in which every session that is alive is stored by the clock
// as it is then: else a clock that jumps ahead would take them all.
func (srv *Server) sweep() {
	if srv.cfg.Store == nil {
		return
	}
	srv.mu.Lock()
	defer srv.mu.Unlock()
	if now := time.Now(); !srv.closed && now.Sub(srv.swept) > srv.cfg.ParkTimeout {
		set := !srv.swept.IsZero() && wasSet(srv.swept, now)
		if srv.swept = now; set {
			return
		}
		srv.running.Go(func() {
			ctx, cancel := context.WithTimeout(context.Background(), sweepTimeout)
			defer cancel()
			srv.vault.store.Sweep(ctx) // another time
		})
	}
}

const sweepTimeout = time.Minute

// wasSet reports whether the wall clock was set between two times, by more than clocks are
// set all the time.
func wasSet(from, to time.Time) bool {
	shown := to.Round(0).Sub(from.Round(0))
	return (shown - to.Sub(from)).Abs() > time.Minute
}

// keep stores that an attempt is made: another process must not make it again.
func (b *reconnector) keep() error {
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
	if c.storeName == "" {
		return nil, errors.New("e2e: Config.StoreName is empty: it names the session in the store")
	}
	self, _ := c.cfg.engine()
	inTime, cancel := context.WithTimeout(ctx, c.cfg.SendTimeout)
	defer cancel()
	l, err := c.vault.takeOver(inTime, storedName(c.storeName), self)
	if err != nil {
		return nil, fmt.Errorf("e2e: %w: %w", sessionstore.ErrUnavailable, err)
	}
	if l.dropped != nil { // with what it had to send
		c.cfg.Logger.LogAttrs(ctx, slog.LevelWarn, "stored session dropped", attrsOfError(outcomeStore, l.dropped)...)
	}
	if l.session == nil {
		return nil, nil
	}
	s := bareSession(l.session, localEnd{&c.cfg, c.want()}, c.events)
	c.follower.follows(s)
	s.restored = true
	keepIn(s, c.vault, c.storeName, l)
	back := c.comesBack(s)
	s.begun()
	if err := back.first(ctx); err != nil {
		return nil, err
	}
	return s, nil
}

// takeOver claims a client's session, as it is then, or returns none. What has expired or
// does not open is removed.
func (v vault) takeOver(ctx context.Context, name [32]byte, cfg engine.Config) (l loaded, err error) {
	for {
		l, err = v.findOwn(ctx, name, cfg)
		switch {
		case errors.Is(err, sessionstore.ErrNotStored) && l.record.Version > 0:
			why := err
			err = v.store.Delete(ctx, l.record.Key, l.record.Version)
			l = loaded{dropped: why}
		case errors.Is(err, sessionstore.ErrNotStored):
			return loaded{}, nil
		case err == nil:
			l.record.Version, err = v.claim(ctx, l)
		}
		if !errors.Is(err, sessionstore.ErrFenced) { // by whoever has it, and saves
			return l, err
		}
		if err = sleep(ctx, storeRetryFirst); err != nil {
			return loaded{}, err
		}
	}
}

// findOwn returns the session that a name of a client's leads to.
func (v vault) findOwn(ctx context.Context, name [32]byte, cfg engine.Config) (l loaded, err error) {
	key, _, err := v.find(ctx, name)
	if err != nil {
		if key == [32]byte{} || !errors.Is(err, sessionstore.ErrNotStored) {
			return l, err
		}
		// Somebody else's head: the record that it leads to is in the way of another.
		record, loadErr := v.store.Load(ctx, key)
		if loadErr != nil {
			return l, loadErr
		}
		return loaded{record: record}, err
	}
	return v.load(ctx, key, cfg)
}

// first gets a session that was restored its first line, while the context lasts. Unless the
// session itself is over, it stays in the store.
func (b *reconnector) first(ctx context.Context) error {
	s := b.session
	defer context.AfterFunc(ctx, func() { b.putBack(ctx.Err()) })()
	go func() {
		err := errGoexit
		defer func() {
			switch {
			case err == nil:
			case ends(err):
				s.fail(&CloseError{Remote: true, Err: fault.Truncated(err)})
			default:
				b.putBack(err)
			}
		}()
		if err = b.firstLine(); err == nil {
			s.attach(b.next)
		}
	}()
	if err := s.linked(context.Background(), nil); err != nil {
		<-s.keeper.gone // so that the next Dial does not find it
		return err
	}
	return nil
}

// firstLine has dial called until it works, or until it cannot: then nothing was sent, so
// that this is nobody's answer.
func (b *reconnector) firstLine() error {
	_, err := b.dial(b.session.life)
	if err == nil || cannotDial(err) {
		return err
	}
	return b.redial(err)
}

// cannotDial reports whether a dial failed before it began, by its URL or its options.
func cannotDial(err error) bool {
	var failed *transport.DialError
	return errors.As(err, &failed) && failed.Phase == 0 && failed.Status == 0 && failed.Permanent()
}

// putBack ends a session that has had no line at this end, and leaves it stored.
func (b *reconnector) putBack(why error) {
	s := b.session
	s.leaveStored(&CloseError{Err: &notYet{why, b.lastFailure()}, Stored: true})
}

// notYet is why a stored session did not go on, for now.
type notYet struct {
	why  error // what ended the trying
	last error // what the last attempt failed with; nil if there was none
}

func (e *notYet) Error() string {
	if e.last == nil || errors.Is(e.why, e.last) {
		return "it has no connection yet, and stays stored: " + e.why.Error()
	}
	return "it has no connection yet, and stays stored: " + e.why.Error() + ": " + e.last.Error()
}

func (e *notYet) Unwrap() []error {
	if e.last == nil {
		return []error{e.why}
	}
	return []error{e.why, e.last}
}

// Permanent reports that the next Dial will fail in the same way, whatever is on the way.
func (e *notYet) Permanent() bool { return cannotDial(e.why) }
