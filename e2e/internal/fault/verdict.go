package fault

import (
	"errors"
	"fmt"

	"github.com/hopseal/hopseal/keys/trust"
	"github.com/hopseal/hopseal/transport"
)

// Refuses reports whether an error of a Verifier or of Authenticate says no, rather than that
// there is no answer now. why says which of the two said no.
func Refuses(err error) (why Reason, no bool) {
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

// Unwelcome returns the end of a session whose other end is no longer accepted.
func Unwelcome(err error) *CloseError {
	sentinel := ErrUntrusted
	if why, _ := Refuses(err); why != ReasonUntrusted {
		sentinel = ErrCredentials
	}
	if !errors.Is(err, sentinel) {
		err = fmt.Errorf("%w: %w", sentinel, err)
	}
	return &CloseError{Err: err}
}

// OfLapsedPeer reports whether the other end was refused because its statement has expired or is
// not valid yet.
func OfLapsedPeer(err error) bool {
	refusal, ok := errors.AsType[*trust.Error](err)
	return ok && (refusal.Reason == trust.Expired || refusal.Reason == trust.NotYetValid)
}

// Outdated reports whether an error refuses only what was shown, and not who has shown it: a
// statement or credentials that are out of their time, or a statement older than one that another
// connection has brought. The clock may be wrong, and the other end may have something newer by
// now. So such an error refuses an attempt and ends no session. A session has limits of its own,
// which no clock moves.
func Outdated(err error) bool {
	if refusal, ok := errors.AsType[*trust.Error](err); ok {
		return refusal.Reason == trust.Expired || refusal.Reason == trust.NotYetValid || refusal.Reason == trust.RolledBack
	}
	return errors.Is(err, ErrCredentialsExpired) || errors.Is(err, ErrLapsedThere)
}

// Denies reports whether an error says no at any time. Such an error ends a session.
func Denies(err error) bool {
	_, no := Refuses(err)
	return no && !Outdated(err)
}
