package e2e

import (
	"errors"
	"fmt"
	"time"

	"github.com/hopseal/hopseal/keys"
)

// A statement of an identity counts for 30 days at most. This file is about ends that have let
// one run out.

// errToldLapsed is the word of a server, by its clock.
var errToldLapsed = errors.New("the server says that its statement has expired, or is from the future: " +
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

// ownLapse returns an error while this end's identity is one that the server would end the
// session for, though a renewal mends it. A revoked one is shown: that ends the session at both
// ends.
func (c *Config) ownLapse() error {
	if err := c.Identity.Check(time.Now()); err != nil && !errors.Is(err, keys.ErrRevoked) {
		return &HandshakeError{Reason: ReasonIdentity, Err: err}
	}
	return nil
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

// closedThere is the end of a session that the other end has closed. Where it does not accept this
// end any more, this end looks at itself first.
func (s *Session) closedThere(code Code, missing uint64) *CloseError {
	e := &CloseError{Remote: true, Code: code, Missing: missing}
	if own := s.party.cfg.Identity.Check(time.Now()); code == CodeRefused && !errors.Is(own, keys.ErrRevoked) {
		e.lapsed = own
	}
	return e
}

// ofLapsedPeer reports whether the other end was refused because its statement does not count
// at this time.
func ofLapsedPeer(err error) bool {
	trust, ok := errors.AsType[*keys.TrustError](err)
	return ok && (trust.Reason == keys.TrustExpired || trust.Reason == keys.TrustNotYetValid)
}
