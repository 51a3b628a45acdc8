package e2e

import (
	"errors"
	"fmt"
	"time"

	"github.com/hopseal/hopseal/keys"
)

// A statement of an identity counts for 30 days at most. This file is about ends that have let
// one run out, or of which a clock says so.

// checkIdentity refuses an identity of this end's own that peers would refuse.
func (e *localEnd) checkIdentity() error {
	if err := e.Identity.Check(time.Now()); err != nil {
		return fmt.Errorf("e2e: Config.Identity: %w", err)
	}
	return nil
}

// identityExpires is when peers will refuse this end's identity as it is now.
func (e *localEnd) identityExpires() time.Time {
	if p := e.Identity.Public(); !p.Revoked() {
		return p.Expires()
	}
	return time.Time{}
}

// ownFault is the error of a handshake that a server has lost. A client that does not accept
// the server hangs up without a word, so the server looks at itself first.
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
