package e2e

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/hopseal/hopseal/internal/engine"
	"github.com/hopseal/hopseal/keys"
	"github.com/hopseal/hopseal/keys/trust"
	"github.com/hopseal/hopseal/transport"
)

// MaxCredentials is the most that a client may show beside its identity, in bytes.
const MaxCredentials = engine.MaxCredentials // 4 KiB

// Errors of credentials.
var (
	// ErrCredentials: they were not accepted, or have expired. A session ends with it
	// at both ends.
	ErrCredentials = errors.New("the credentials are not accepted, or not any more")

	// ErrCredentialsExpired matches ErrCredentials and says that time is all that is wrong
	// with them: they have expired, or are not valid yet. [Config.Authenticate] returns it,
	// or a [Grant] whose end is in the past. The clock that says so may be wrong, so a session
	// that there is goes on, for as long as its last Grant lasts, and the client tries again.
	ErrCredentialsExpired error = staleError{}

	// ErrCredentialsTooLarge: [Config.Credentials] returned more than [MaxCredentials]
	// bytes.
	ErrCredentialsTooLarge = errors.New("credentials of more than 4096 bytes")
)

// staleError is the type of ErrCredentialsExpired.
type staleError struct{}

func (staleError) Error() string {
	return "the credentials have expired, or are not valid yet: show others, and check both clocks"
}

func (staleError) Unwrap() error { return ErrCredentials }

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
func (c Config) present(ctx context.Context) ([]byte, error) {
	if c.Credentials == nil {
		return nil, nil
	}
	credentials, err := aside(ctx, c.asking, c.Credentials)
	switch {
	case err != nil:
		return nil, fmt.Errorf("credentials: %w", err)
	case len(credentials) > MaxCredentials:
		return nil, fmt.Errorf("%w: %d", ErrCredentialsTooLarge, len(credentials))
	}
	return credentials, nil
}

// authenticate asks the application what a client may do, after the Verifier.
func (c Config) authenticate(ctx context.Context, peer Peer, credentials []byte) (Grant, error) {
	if c.Authenticate == nil {
		return Grant{}, nil
	}
	g, err := aside(ctx, c.asking, func(ctx context.Context) (Grant, error) {
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

// refuses reports whether an error of a Verifier or of Authenticate says no, rather
// than that there is no answer now. Why says which of the two it was.
func refuses(err error) (why Reason, no bool) {
	var refusal *trust.Error
	if errors.As(err, &refusal) {
		return ReasonUntrusted, true
	}
	for _, sentinel := range []error{ErrCredentials, transport.ErrUnauthorized, transport.ErrForbidden} {
		if errors.Is(err, sentinel) {
			return ReasonUnauthorized, true
		}
	}
	return 0, false
}

// unwelcome is the end of a session whose other end is not accepted any more.
func unwelcome(err error) *CloseError {
	sentinel := ErrUntrusted
	if why, _ := refuses(err); why != ReasonUntrusted {
		sentinel = ErrCredentials
	}
	if !errors.Is(err, sentinel) {
		err = fmt.Errorf("%w: %w", sentinel, err)
	}
	return &CloseError{Err: err}
}

// verify asks the application whom it trusts: aside, unless the answer is in this process.
func (c *Config) verify(ctx context.Context, want trust.Expected, peer *keys.PublicIdentity) error {
	if _, immediate := c.Verifier.(interface{ Immediate() }); immediate {
		return c.Verifier.Verify(ctx, want, peer)
	}
	_, err := aside(ctx, c.asking, func(ctx context.Context) (struct{}, error) {
		return struct{}{}, c.Verifier.Verify(ctx, want, peer)
	})
	return err
}

// within calls the application, and waits for its answer no longer than the context
// lasts. A panic is an error, and so is a goroutine that ends: whoever does not answer has
// not said yes.
func within[T any](ctx context.Context, call func(context.Context) (T, error)) (T, error) {
	var answer T
	done := make(chan error, 1)
	go func() {
		err := errGoexit // until it is known better
		defer func() { done <- err }()
		defer contain(&err)
		answer, err = call(ctx)
	}()
	select {
	case err := <-done:
		return answer, err
	case <-ctx.Done():
		var none T // the call may still write to answer
		return none, ctx.Err()
	}
}
