package e2e

import (
	"context"
	"fmt"
	"time"

	"github.com/hopseal/hopseal/e2e/internal/aside"
	"github.com/hopseal/hopseal/internal/engine"
	"github.com/hopseal/hopseal/keys"
	"github.com/hopseal/hopseal/keys/trust"
)

// MaxCredentials is the most that a client may show beside its identity, in bytes.
const MaxCredentials = engine.MaxCredentials // 4 KiB

// A Grant is what a client's credentials entitle it to.
type Grant struct {
	// Claims is whatever the application wants to know later; [Session.Peer] returns
	// it.
	Claims any

	// Expires is when the session ends, unless the client has shown other credentials
	// before. Zero means that there is no such time. Where it is a time of the wall clock
	// it is looked at once, when Authenticate returns it: the client is told how long the
	// credentials last, and both ends measure that. A clock that is set later, or a
	// machine that sleeps, moves the end by as much.
	Expires time.Time
}

// measured is the grant with an end that no clock moves any more.
func (g Grant) measured() Grant {
	if now := time.Now(); !g.Expires.IsZero() {
		g.Expires = now.Add(g.Expires.Sub(now))
	}
	return g
}

// lifetime is how long a grant lasts from now on, 0 for ever.
func (g Grant) lifetime() time.Duration {
	if g.Expires.IsZero() {
		return 0
	}
	return max(time.Until(g.Expires), 1)
}

// grantFor is the reverse of lifetime, at the client.
func grantFor(lifetime time.Duration) Grant {
	if lifetime == 0 {
		return Grant{}
	}
	return Grant{Expires: time.Now().Add(lifetime)}
}

// present asks the application for what to show the server, whose identity the
// Verifier has accepted.
func (c config) present(ctx context.Context) ([]byte, error) {
	if c.Credentials == nil {
		return nil, nil
	}
	credentials, err := aside.Call(ctx, c.asking, c.Credentials)
	switch {
	case err != nil:
		return nil, fmt.Errorf("credentials: %w", err)
	case len(credentials) > MaxCredentials:
		return nil, fmt.Errorf("%w: %d", ErrCredentialsTooLarge, len(credentials))
	}
	return credentials, nil
}

// authenticate asks the application what a client may do, after the Verifier.
func (c config) authenticate(ctx context.Context, peer Peer, credentials []byte) (Grant, error) {
	if c.Authenticate == nil {
		return Grant{}, nil
	}
	g, err := aside.Call(ctx, c.asking, func(ctx context.Context) (Grant, error) {
		return c.Authenticate(ctx, peer, credentials)
	})
	switch {
	case err != nil:
		return Grant{}, err
	case !g.Expires.IsZero() && !time.Now().Before(g.Expires):
		return Grant{}, fmt.Errorf("%w: Authenticate granted them until %v", ErrCredentialsExpired, g.Expires)
	}
	return g.measured(), nil
}

// verify asks the application whom it trusts: aside, unless the answer is in this process.
func (c *config) verify(ctx context.Context, want trust.Expected, peer *keys.PublicIdentity) error {
	if _, immediate := c.Verifier.(interface{ Immediate() }); immediate {
		return c.Verifier.Verify(ctx, want, peer)
	}
	return aside.Do(ctx, c.asking, func(ctx context.Context) error { return c.Verifier.Verify(ctx, want, peer) })
}
