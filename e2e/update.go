package e2e

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hopseal/hopseal/e2e/internal/about"
	"github.com/hopseal/hopseal/e2e/internal/fault"
	"github.com/hopseal/hopseal/e2e/internal/flow"
	"github.com/hopseal/hopseal/e2e/internal/meet"
	"github.com/hopseal/hopseal/e2e/internal/upkeep"
	"github.com/hopseal/hopseal/internal/engine"
	"github.com/hopseal/hopseal/internal/sleep"
)

const (
	// renewAhead is how long before credentials expire the client shows others, or a quarter
	// of their life if that is less.
	renewAhead = 5 * time.Minute

	// renewRetry is how long after a failure the next try is, or less if the credentials
	// expire before.
	renewRetry = time.Minute

	// decisionPause is the least time between two decisions about the other end, so that a
	// peer who shows something new again and again is no load.
	decisionPause = time.Second
)

// updates keeps the other end up to date about this one, and takes in its updates.
type updates struct {
	session *Session

	making atomic.Bool    // an update is being made
	heard  flow.Broadcast // tells that an answer to an update has come
	pace   upkeep.Pace    // how often the application is asked for credentials

	mu      sync.Mutex // guards what follows
	renewal *time.Timer
	decided time.Time // when this end last decided on the other
}

// Renew tells the other end who this end is now and, at a client, what [Config.Credentials]
// returns now. It waits until the other end accepts that. A session does so by itself when its
// identity has changed, within about KeepAlive, and before the credentials expire. Call Renew
// to do it at once. Losing a connection meanwhile does no harm: the next one begins with the
// same.
//
// Errors: those of Credentials; [ErrUndecided]; the context's; [*CloseError], also after a
// refusal.
func (s *Session) Renew(ctx context.Context) error {
	for {
		if err := s.flow.Linked(ctx); err != nil {
			return err
		}
		l := s.flow.Line()
		if l == nil {
			continue
		}
		err := s.updates.send(ctx, l)
		switch {
		case errors.Is(err, engine.ErrClosed):
			err = s.updates.awaitUpdate(ctx, func() bool { return s.flow.Line() == l })
		case errors.Is(err, engine.ErrBlocked): // an earlier update is under way, which may be outdated
			err = s.updates.awaitUpdate(ctx, func() bool { return s.flow.Line() == l && l.Link.Updating() })
		case err == nil:
			return s.updates.answerOn(ctx, l)
		}
		if err != nil {
			return err
		}
	}
}

// answerOn waits for the answer to an update, or for the next line, which begins with the same.
func (u *updates) answerOn(ctx context.Context, l *flow.Line) error {
	s := u.session
	if err := u.awaitUpdate(ctx, func() bool { return s.flow.Line() == l && l.Link.Updating() }); err != nil {
		return err
	}
	if l.Link.Updating() {
		return s.flow.Linked(ctx)
	}
	if accepted, _ := l.Link.Answer(); !accepted {
		return ErrUndecided
	}
	return nil
}

// awaitUpdate blocks until cond is false. It rechecks after every answer and every change of line.
func (u *updates) awaitUpdate(ctx context.Context, cond func() bool) error {
	s := u.session
	for {
		heard, moved := u.heard.Next(), s.flow.Moved()
		switch {
		case s.flow.Over():
			return s.flow.Err()
		case !cond():
			return nil
		}
		s.flow.Pump()
		select {
		case <-heard:
		case <-moved:
		case <-s.flow.Done():
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// send tells the peer, on a line, who this end is now, and shows its credentials.
func (u *updates) send(ctx context.Context, l *flow.Line) error {
	s := u.session
	if l.Link.Updating() {
		return engine.ErrBlocked // before Credentials is called for nothing
	}
	var credentials []byte
	if s.engine.Client() {
		var err error
		if credentials, err = s.local.present(ctx); err != nil {
			return err
		}
	}
	identity := s.local.Identity.Public()
	if err := l.Link.Update(identity, credentials); err != nil {
		return err
	}
	l.Announced(identity)
	s.flow.Schedule()
	return nil
}

// renew makes an update, unless one is being made.
func (u *updates) renew() {
	s := u.session
	if !u.making.CompareAndSwap(false, true) {
		return
	}
	go func() {
		defer u.making.Store(false)
		if u.shows() && u.pace.Wait(s.flow.Life(), false) != nil {
			return // the session is over
		}
		ctx, cancel := context.WithTimeout(s.flow.Life(), s.local.handshakeTimeout)
		defer cancel()
		l := s.flow.Line()
		if l == nil {
			return // the next line begins with the update
		}
		err := u.send(ctx, l)
		if err != nil && !errors.Is(err, engine.ErrBlocked) && !errors.Is(err, engine.ErrClosed) {
			u.renewLater()
		}
	}()
}

// shows reports whether this end has credentials.
func (u *updates) shows() bool {
	return u.session.engine.Client() && u.session.local.Credentials != nil
}

// answered takes in the other end's answer to an update.
func (u *updates) answered(l *flow.Line) {
	s := u.session
	accepted, lifetime := l.Link.Answer()
	switch {
	case !accepted:
		u.renewLater()
	case s.engine.Client():
		s.entitle(l.Link, s.engine.Peer(), grantFor(lifetime))
		if s.keeper != nil {
			go s.keeper.Renew()
		}
	}
	u.heard.Tell()
	s.flow.Schedule() // there may be another update to send
}

// renewBefore schedules an update with other credentials before these expire. A server, or a
// client without Credentials, has none to show.
func (u *updates) renewBefore(expiry time.Time) {
	if !u.shows() {
		return
	}
	if expiry.IsZero() {
		u.renewIn(0)
		return
	}
	left := time.Until(expiry)
	u.renewIn(max(left-min(left/4, renewAhead), 1))
}

// renewLater schedules another try of an update that failed.
func (u *updates) renewLater() {
	s := u.session
	s.grantMu.Lock()
	expiry := s.expires
	s.grantMu.Unlock()
	wait := renewRetry
	if !expiry.IsZero() && s.engine.Client() {
		wait = min(wait, max(time.Until(expiry)/4, decisionPause))
	}
	u.renewIn(wait)
}

// renewIn sets the time of the next update, 0 for none.
func (u *updates) renewIn(wait time.Duration) {
	u.mu.Lock()
	defer u.mu.Unlock()
	switch {
	case u.session.flow.Over():
	case wait == 0:
		if u.renewal != nil {
			u.renewal.Stop()
		}
	case u.renewal == nil:
		u.renewal = time.AfterFunc(wait, u.renew)
	default:
		u.renewal.Reset(wait)
	}
}

// stop ends the schedule when the session is over.
func (u *updates) stop() {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.renewal != nil {
		u.renewal.Stop()
	}
}

// decide decides on the other end's update, while the session goes on.
func (u *updates) decide(l *flow.Line) {
	s := u.session
	offer := l.Link.Offer()
	if u.awaitDecision() != nil {
		return
	}
	ctx, cancel := context.WithTimeout(s.flow.Life(), s.local.handshakeTimeout)
	defer cancel()
	grant, err := u.judge(ctx, offer)
	no := fault.Denies(err)
	switch {
	case s.flow.Over():
		return
	case no && !l.Link.Condemn(): // another link has come, on which another decision was made
		return
	case no:
		s.flow.CloseFor(CodeRefused, fault.Unwelcome(err))
		return
	case err != nil: // no answer, or only a refusal of what is out of its time
		l.Link.Decided(false, 0)
	case s.engine.Client():
		s.recognize(l.Link, offer.Peer)
		l.Link.Decided(true, 0)
	case s.entitle(l.Link, offer.Peer, grant):
		l.Link.Decided(true, grant.lifetime())
	}
	s.flow.Schedule()
}

// awaitDecision waits until it is time for another decision. It returns an error if the session
// is over before.
func (u *updates) awaitDecision() error {
	u.mu.Lock()
	wait := time.Until(u.decided.Add(decisionPause))
	u.decided = time.Now().Add(max(wait, 0))
	u.mu.Unlock()
	if wait <= 0 {
		return nil
	}
	return sleep.For(u.session.flow.Life(), wait)
}

// judge asks the application about an offer, as it would about a client that connects.
func (u *updates) judge(ctx context.Context, offer engine.Offer) (Grant, error) {
	s := u.session
	if err := meet.NotRevoked(offer.Peer); err != nil {
		meet.PassOn(ctx, offer.Peer, s.local.verify)
		return Grant{}, err
	}
	if err := s.local.verify(ctx, offer.Peer); err != nil || s.engine.Client() {
		return Grant{}, err
	}
	return s.local.authenticate(ctx, Peer{offer.Peer, s.Peer().Claims}, offer.Credentials)
}

// Recheck asks the Verifier about the other end again. Call it when the Verifier has learned
// something since the session began. If the Verifier is a [trust.ChangeNotifier] the session
// asks by itself, within a second. If the answer is no the session ends with [ErrUntrusted],
// and tells the other end with [CodeRefused]. The session goes on if the Verifier refuses only
// the other end's statement, with [trust.Expired], [trust.NotYetValid] or [trust.RolledBack]:
// a wrong clock ends no session, and [Options.MaxAge] ends every session.
//
// The error is the [*CloseError], or the Verifier's if the session goes on.
func (s *Session) Recheck(ctx context.Context) error {
	for !s.flow.Over() {
		peer := s.engine.Peer()
		err := s.local.verify(about.Session(ctx, s.flow.Life()), peer)
		if !fault.Denies(err) {
			return err
		}
		if s.engine.Peer() == peer { // otherwise the answer is about an identity that it had before
			s.flow.CloseFor(CodeRefused, fault.Unwelcome(err))
		}
	}
	return s.flow.Err()
}

// follow ends the session if its Verifier no longer trusts the other end. It returns an error if
// the Verifier has no answer.
func (s *Session) follow(ctx context.Context) error {
	for !s.flow.Over() {
		peer := s.engine.Peer()
		err := s.local.Verifier.Verify(about.Session(ctx, s.flow.Life()), s.local.want, peer)
		switch _, no := fault.Refuses(err); {
		case no && s.engine.Peer() != peer: // the answer is about an identity that it had before
			continue
		case fault.Denies(err):
			go s.flow.CloseFor(CodeRefused, fault.Unwelcome(err))
			return nil
		case no:
			return nil
		}
		return err
	}
	return nil
}

// followedBy gives the session a follower of its own. The follower must be made before the
// Verifier is asked, so that it misses no change.
func (s *Session) followedBy(f *upkeep.Follower) {
	s.follower = f
	f.Follow(&s.followed)
}
