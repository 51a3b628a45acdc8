package e2e

import (
	"context"
	"errors"
	"fmt"

	"github.com/hopseal/hopseal/e2e/internal/fault"
	"github.com/hopseal/hopseal/e2e/internal/flow"
	"github.com/hopseal/hopseal/e2e/internal/vault"
	"github.com/hopseal/hopseal/e2e/sessionstore"
	"github.com/hopseal/hopseal/internal/engine"
	"github.com/hopseal/hopseal/internal/sleep"
	"github.com/hopseal/hopseal/keys"
)

// A claim is a server's decision about a client that comes back to a stored session.
type claim struct {
	srv      *Server
	greeting *greeting
	resume   *engine.Resume
	key      [32]byte // of the session's record

	latest   vault.Stored // the state that the attempt counts on; after the claim, the state it left
	reserved *entry       // in the server's quota
}

// load gives the attempt the session as it is stored now.
func (c *claim) load(ctx context.Context) (step engine.Step, err error) {
	self, _ := c.srv.cfg.engine()
	stored, err := c.srv.lookups.Load(ctx, c.key, self)
	switch {
	case errors.Is(err, sessionstore.ErrNotStored):
		return step, err
	case err != nil:
		return step, fmt.Errorf("%w: %w", sessionstore.ErrUnavailable, err)
	}
	if step, err = c.resume.Loaded(stored.Session); errors.Is(err, engine.ErrUnknownSession) {
		return step, fmt.Errorf("%w: %w", sessionstore.ErrNotStored, err)
	}
	c.latest = stored // also if the attempt cannot be committed: that is about this record too
	return step, err
}

// decide asks whether the client is welcome, and then claims the latest stored state: the
// session's owner may have gone on with it since.
func (c *claim) decide(ctx context.Context, peer *keys.PublicIdentity) (err error) {
	if err := c.greeting.welcome(ctx, c.resume, Peer{PublicIdentity: peer}); err != nil {
		return c.unwelcome(ctx, err)
	}
	if c.reserved, err = c.srv.reserve(peer); err != nil {
		return err
	}
	return c.onLatest(ctx, func() error { return c.srv.vault.Claim(ctx, &c.latest) })
}

// onLatest calls do. If the session was saved meanwhile, onLatest loads it and calls do again,
// as long as the attempt counts on what is stored. That ends, because the session's owner may
// only send so much.
func (c *claim) onLatest(ctx context.Context, do func() error) error {
	for {
		err := do()
		switch {
		case err == nil:
			return nil
		case !errors.Is(err, sessionstore.ErrFenced):
			return fmt.Errorf("%w: %w", sessionstore.ErrUnavailable, err)
		}
		if err := sleep.For(ctx, vault.RetryFirst); err != nil {
			return fmt.Errorf("%w: %w", sessionstore.ErrUnavailable, err)
		}
		if _, err := c.load(ctx); err != nil {
			return err
		}
	}
}

// unwelcome deletes the stored session if the client's identity is no longer accepted and the
// attempt counts. An attempt that was overtaken changes nothing: its client may be in that
// session now. Nor do refused credentials, see [greeting.endUnlessBack], nor a statement or
// credentials that are out of their time, see [fault.Outdated].
func (c *claim) unwelcome(ctx context.Context, why error) error {
	if reason, _ := fault.Refuses(why); fault.Denies(why) && reason == ReasonUntrusted {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), flow.GoodbyeTimeout)
		defer cancel()
		c.onLatest(ctx, func() error { return c.delete(ctx) })
	}
	return why
}

// failed deletes the stored session if the attempt has shown that it was rolled back. A session
// that was saved since stays, because that may no longer be true of it.
func (c *claim) failed(ctx context.Context, err error) {
	if failed := new(HandshakeError); errors.As(err, &failed) && failed.Reason == ReasonRolledBack {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), flow.GoodbyeTimeout)
		defer cancel()
		c.delete(ctx)
	}
}

func (c *claim) delete(ctx context.Context) error { return c.srv.vault.Delete(ctx, c.latest) }
