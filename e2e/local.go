package e2e

import (
	"context"
	"fmt"
	"time"

	"github.com/hopseal/hopseal/e2e/internal/aside"
	"github.com/hopseal/hopseal/e2e/internal/fault"
	"github.com/hopseal/hopseal/e2e/internal/upkeep"
	"github.com/hopseal/hopseal/internal/slog"
	"github.com/hopseal/hopseal/keys"
	"github.com/hopseal/hopseal/keys/trust"
)

// A localEnd is what a session knows about its own end, beside keys: who the end is, whom it
// accepts, and what it asks the application. The sessions of a server share one.
type localEnd struct {
	Identity *keys.Identity
	Verifier trust.Verifier
	want     trust.Expected // of the other end
	Protocol string

	Credentials  func(context.Context) ([]byte, error)              // of a client
	Authenticate func(context.Context, Peer, []byte) (Grant, error) // of a server
	asking       chan struct{}                                      // holds a token for each question to the application that it has not answered

	logger           *slog.Logger
	maxMessage       int
	keepAlive        time.Duration
	handshakeTimeout time.Duration
	sendTimeout      time.Duration
}

// present asks the application for the credentials to show the server. The caller's Verifier has
// accepted the server.
func (e *localEnd) present(ctx context.Context) ([]byte, error) {
	if e.Credentials == nil {
		return nil, nil
	}
	credentials, err := aside.Call(ctx, e.asking, e.Credentials)
	switch {
	case err != nil:
		return nil, fmt.Errorf("credentials: %w", err)
	case len(credentials) > MaxCredentials:
		return nil, fmt.Errorf("%w: %d", fault.ErrCredentialsTooLarge, len(credentials))
	}
	return credentials, nil
}

// authenticate asks the application what a client may do. The Verifier has accepted the client.
func (e *localEnd) authenticate(ctx context.Context, peer Peer, credentials []byte) (Grant, error) {
	if e.Authenticate == nil {
		return Grant{}, nil
	}
	g, err := aside.Call(ctx, e.asking, func(ctx context.Context) (Grant, error) {
		return e.Authenticate(ctx, peer, credentials)
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
func (e *localEnd) verify(ctx context.Context, peer *keys.PublicIdentity) error {
	if _, immediate := e.Verifier.(interface{ Immediate() }); immediate {
		return e.Verifier.Verify(ctx, e.want, peer)
	}
	return aside.Do(ctx, e.asking, func(ctx context.Context) error { return e.Verifier.Verify(ctx, e.want, peer) })
}

// follower returns a follower that rechecks the sessions of this end, or nil if the Verifier
// tells of no changes. If open is nil the follower is for one session.
func (e *localEnd) follower(open func() []*upkeep.Followed) *upkeep.Follower {
	return upkeep.NewFollower(e.Verifier, e.logger, e.handshakeTimeout, open)
}
