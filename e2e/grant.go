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

// A Grant says what a client's credentials entitle it to.
type Grant struct {
	// Claims is whatever the application wants to know later. [Session.Peer] returns it.
	Claims any

	// Expires is when the session ends, unless the client has shown other credentials
	// before. Zero means never. The server reads the wall clock once, when Authenticate
	// returns: it tells the client how long the credentials last, and both ends measure
	// that. If somebody sets the clock later, or the machine sleeps, the end moves by as
	// much.
	Expires time.Time
}

// measured returns the grant with an end that setting the wall clock does not move.
func (g Grant) measured() Grant {
	if now := time.Now(); !g.Expires.IsZero() {
		g.Expires = now.Add(g.Expires.Sub(now))
	}
	return g
}

// lifetime returns how long a grant lasts from now on. 0 means for ever.
func (g Grant) lifetime() time.Duration {
	if g.Expires.IsZero() {
		return 0
	}
	return max(time.Until(g.Expires), 1)
}

// grantFor returns, at the client, the grant that has this lifetime.
func grantFor(lifetime time.Duration) Grant {
	if lifetime == 0 {
		return Grant{}
	}
	return Grant{Expires: time.Now().Add(lifetime)}
}

// present asks the application for the credentials to show the server. The caller's Verifier has
// accepted the server.
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

// authenticate asks the application what a client may do. The Verifier has accepted the client.
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

// verify asks the Verifier about a peer: in a goroutine of its own, unless it says that it
// answers at once.
func (c *config) verify(ctx context.Context, want trust.Expected, peer *keys.PublicIdentity) error {
	if _, immediate := c.Verifier.(interface{ Immediate() }); immediate {
		return c.Verifier.Verify(ctx, want, peer)
	}
	return aside.Do(ctx, c.asking, func(ctx context.Context) error { return c.Verifier.Verify(ctx, want, peer) })
}
