package e2e

import (
	"errors"
	"fmt"
	"time"

	"github.com/hopseal/hopseal/keys"
)

// An identity's statement is valid for at most 30 days. This file is about ends whose statement has
// expired, or has by some clock.

// checkIdentity returns an error if peers would refuse this end's own identity.
func (e *localEnd) checkIdentity() error {
	if err := e.Identity.Check(time.Now()); err != nil {
		return fmt.Errorf("e2e: Config.Identity: %w", err)
	}
	return nil
}

// identityExpires returns the time from which peers will refuse this end's present statement. It is zero
// for a revoked identity.
func (e *localEnd) identityExpires() time.Time {
	if p := e.Identity.Public(); !p.Revoked() {
		return p.Expires()
	}
	return time.Time{}
}

// ownFault returns the error of a server's failed handshake. A client that does not accept the server
// hangs up without giving a reason. So ownFault first checks whether the server's own identity is the
// cause.
func (e *localEnd) ownFault(err error) error {
	failed, ok := errors.AsType[*HandshakeError](err)
	if !ok || failed.Reason != ReasonLost && !errors.Is(err, keys.ErrRevoked) {
		return err
	}
	if own := e.Identity.Check(time.Now()); own != nil {
		return &HandshakeError{Reason: ReasonIdentity, Err: own}
	}
	return err
}
