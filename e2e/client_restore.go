package e2e

import (
	"context"
	"errors"
	"fmt"

	"github.com/hopseal/hopseal/e2e/internal/fault"
	"github.com/hopseal/hopseal/e2e/internal/outcome"
	"github.com/hopseal/hopseal/e2e/sessionstore"
	"github.com/hopseal/hopseal/internal/slog"
)

// restore goes on with the session that another process of this client has stored. It returns
// once the session has a line. The session is nil if none is stored.
func (c *client) restore(ctx context.Context) (_ *Session, err error) {
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
	stored, dropped, err := c.vault.TakeOver(inTime, c.storeName, self)
	if err != nil {
		return nil, fmt.Errorf("e2e: %w: %w", sessionstore.ErrUnavailable, err)
	}
	if dropped != nil { // and the messages that it had to send
		c.cfg.Logger.LogAttrs(ctx, slog.LevelWarn, "stored session dropped", outcome.Attrs(outcome.Store, dropped)...)
	}
	if stored.Session == nil {
		return nil, nil
	}
	s := bareSession(context.Background(), stored.Session, &c.cfg, c.events)
	s.followedBy(c.follower)
	s.restored = true
	keepIn(s, c.vault, c.storeName, stored)
	back := c.comesBack(s)
	s.begun()
	if err := back.connectRestored(ctx); err != nil {
		return nil, err
	}
	return s, nil
}

// connectRestored tries to get a restored session its first line, for as long as the context
// lasts. If it fails the session stays stored, unless the session itself is over.
func (b *reconnector) connectRestored(ctx context.Context) error {
	s := b.session
	defer context.AfterFunc(ctx, func() { b.leaveForLater(ctx.Err()) })()
	go func() {
		err := fault.ErrGoexit
		defer func() {
			switch {
			case err == nil:
			case ends(err):
				s.flow.Fail(&CloseError{Remote: true, Err: fault.Truncated(err)})
			default:
				b.leaveForLater(err)
			}
		}()
		if err = b.firstLine(); err == nil {
			s.flow.Attach(b.next)
		}
	}()
	if err := s.flow.Linked(context.Background()); err != nil {
		<-s.keeper.Gone() // so that the next Dial does not find it
		return err
	}
	return nil
}

// firstLine dials until a dial succeeds. It gives up if a dial fails because of its URL or its
// options: nobody has answered it, and the next dial would fail in the same way.
func (b *reconnector) firstLine() error {
	_, err := b.dial(b.session.flow.Life())
	if err == nil || fault.CannotDial(err) {
		return err
	}
	return b.redial(err)
}

// leaveForLater ends this end of a restored session that got no line, and leaves it stored.
func (b *reconnector) leaveForLater(why error) {
	s := b.session
	s.flow.LeaveStored(&CloseError{Err: &fault.NotYet{Why: why, Last: b.lastFailure()}, Stored: true})
}
