package e2e

import (
	"errors"
	"fmt"
	"time"

	"github.com/hopseal/hopseal/keys"
	"github.com/hopseal/hopseal/keys/trust"
)

// A statement of an identity counts for 30 days at most. This file is about ends that have let
// one run out, or of which a clock says so.

// errToldLapsed is the word of a server, by its clock.
var errToldLapsed = errors.New("the server says that its statement has expired, is from the future, or is not its latest: " +
	"renew it with 'hopseal key rotate' or Identity.Renew, have Store.Run keep it alive, and check both clocks")

// checkIdentity refuses an identity of this end's own that peers would refuse.
func (c *Config) checkIdentity() error {
	if err := c.Identity.Check(time.Now()); err != nil {
		return fmt.Errorf("e2e: Config.Identity: %w", err)
	}
	return nil
}

// identityExpires is when peers will refuse this end's identity as it is now.
func (c *Config) identityExpires() time.Time {
	if p := c.Identity.Public(); !p.Revoked() {
		return p.Expires()
	}
	return time.Time{}
}

// ownFault is the error of a handshake that a server has lost. A client that does not accept
// the server hangs up without a word, so the server looks at itself first.
func (c *Config) ownFault(err error) error {
	failed, ok := errors.AsType[*HandshakeError](err)
	if !ok || failed.Reason != ReasonLost && !errors.Is(err, keys.ErrRevoked) {
		return err
	}
	if own := c.Identity.Check(time.Now()); own != nil {
		return &HandshakeError{Reason: ReasonIdentity, Err: own}
	}
	return err
}

// ofLapsedPeer reports whether the other end was refused because its statement does not count
// at this time.
func ofLapsedPeer(err error) bool {
	refusal, ok := errors.AsType[*trust.Error](err)
	return ok && (refusal.Reason == trust.Expired || refusal.Reason == trust.NotYetValid)
}

// outdated reports whether only what was shown is refused, and not who has shown it: a statement
// or credentials that are out of their time, or an earlier statement than another connection has
// brought. The clock that says so may be wrong, and the other end may have something newer by now.
// So it refuses an attempt, and ends no session: that has limits of its own, which no clock moves.
func outdated(err error) bool {
	if refusal, ok := errors.AsType[*trust.Error](err); ok {
		return refusal.Reason == trust.Expired || refusal.Reason == trust.NotYetValid || refusal.Reason == trust.RolledBack
	}
	return errors.Is(err, ErrCredentialsExpired) || errors.Is(err, errToldLapsed)
}

// denies reports whether an error says no whatever the time is, so that it ends a session.
func denies(err error) bool {
	_, no := refuses(err)
	return no && !outdated(err)
}
