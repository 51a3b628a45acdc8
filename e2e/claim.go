package e2e

import (
	"context"
	"errors"
	"fmt"

	"github.com/hopseal/hopseal/e2e/internal/fault"
	"github.com/hopseal/hopseal/e2e/sessionstore"
	"github.com/hopseal/hopseal/internal/engine"
	"github.com/hopseal/hopseal/keys"
)

// A claim is the decision about a client that comes back to a session of the store.
type claim struct {
	srv      *Server
	greeting *greeting
	resume   *engine.Resume
	key      [32]byte

	latest   loaded       // on which the attempt counts; once it is claimed, as the claim left it
	reserved *reservation // at the server
}

// load gives the attempt the session as the store has it now.
func (c *claim) load(ctx context.Context) (step engine.Step, err error) {
	self, _ := c.srv.cfg.engine()
	l, err := c.srv.lookups.load(ctx, c.key, self)
	switch {
	case errors.Is(err, sessionstore.ErrNotStored):
		return step, err
	case err != nil:
		return step, fmt.Errorf("%w: %w", sessionstore.ErrUnavailable, err)
	}
	if step, err = c.resume.GoOn(l.session); errors.Is(err, engine.ErrUnknownSession) {
		return step, fmt.Errorf("%w: %w", sessionstore.ErrNotStored, err)
	}
	c.latest = l // also where it cannot be committed: that too is about this record
	return step, err
}

// decide asks whether the client is welcome, and claims the session as it is in the store then: whoever had
// it may have gone on since.
func (c *claim) decide(ctx context.Context, peer *keys.PublicIdentity) (err error) {
	if err := c.greeting.welcome(ctx, c.resume, Peer{PublicIdentity: peer}); err != nil {
		return c.unwelcome(ctx, err)
	}
	if c.reserved, err = c.srv.reserve(peer); err != nil {
		return err
	}
	return c.settle(ctx, func() error {
		version, err := c.srv.vault.claim(ctx, c.latest)
		if err == nil {
			c.latest.record.Version = version
		}
		return err
	})
}

// settle does something with the record that is there now, if the attempt counts on that.
func (c *claim) settle(ctx context.Context, do func() error) error {
	for {
		err := do()
		switch {
		case err == nil:
			return nil
		case !errors.Is(err, sessionstore.ErrFenced):
			return fmt.Errorf("%w: %w", sessionstore.ErrUnavailable, err)
		}
		// It was saved meanwhile; not for ever, because there is an end to what its owner may send.
		if err := sleep(ctx, storeRetryFirst); err != nil {
			return fmt.Errorf("%w: %w", sessionstore.ErrUnavailable, err)
		}
		if _, err := c.load(ctx); err != nil {
			return err
		}
	}
}

// unwelcome removes the session of a client whose identity is not accepted any more, if the
// attempt counts. One that was overtaken changes nothing: its client may be in that session
// now. Nor do credentials that are refused, see [greeting.endUnlessBack], nor what is refused for
// its time, see [outdated].
func (c *claim) unwelcome(ctx context.Context, why error) error {
	if reason, _ := fault.Refuses(why); fault.Denies(why) && reason == ReasonUntrusted {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), goodbyeTimeout)
		defer cancel()
		c.settle(ctx, func() error { return c.remove(ctx) })
	}
	return why
}

// failed removes the session if the attempt has shown that it was rolled back. If it has
// been saved since, that may not be true any more.
func (c *claim) failed(ctx context.Context, err error) {
	if failed := new(HandshakeError); errors.As(err, &failed) && failed.Reason == ReasonRolledBack {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), goodbyeTimeout)
		defer cancel()
		c.remove(ctx)
	}
}

func (c *claim) remove(ctx context.Context) error {
	return c.srv.vault.store.Delete(ctx, c.key, c.latest.record.Version)
}
