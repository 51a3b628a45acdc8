package keys

import (
	"errors"
	"fmt"
	"time"

	"github.com/hopseal/hopseal/internal/lapse"
	"github.com/hopseal/hopseal/keys/internal/unixtime"
)

var (
	// ErrExpired is matched by the error for a use of one's own identity whose statement has
	// expired: peers refuse it until it is renewed.
	ErrExpired = errors.New("keys: the identity has expired")

	// ErrNotYetValid is matched by the error for a use of one's own identity whose statement was
	// issued more than [ClockSkew] in the future, by the clock of this machine: peers refuse it.
	ErrNotYetValid = errors.New("keys: the identity is not valid yet")
)

var errEmptyIdentity = errors.New("keys: the Identity is empty: make one with GenerateIdentity, or load it")

// Check returns nil if peers can accept the identity at that time, as far as that is up to its
// statement: it has neither expired nor been revoked, and was not issued in the future. Else the error
// matches [ErrExpired], [ErrRevoked] or [ErrNotYetValid] and says what to do. Whoever is about to use
// the identity calls it: packages e2e and envelope do.
func (id *Identity) Check(now time.Time) error {
	p := id.Public()
	switch {
	case p == nil:
		return errEmptyIdentity
	case p.Revoked():
		return fmt.Errorf("%w: make a new one, and have peers admit it", ErrRevoked)
	case p.expired(now):
		return &uselessError{ErrExpired, fmt.Sprintf("keys: the identity %s expired at %s, %s ago, and peers refuse it: "+
			"renew it with 'hopseal key rotate' or Identity.Renew, and have Store.Run keep it alive", p.fingerprint, unixtime.Text(p.expires), lapse.Text(now.Sub(p.expires)))}
	case p.future(now):
		return &uselessError{ErrNotYetValid, fmt.Sprintf("keys: the identity %s was issued at %s, which is still to come, and peers refuse it: "+
			"check this machine's clock, then renew it with 'hopseal key rotate' or Identity.Renew", p.fingerprint, unixtime.Text(p.issued))}
	}
	return nil
}

// A uselessError says why an identity of one's own cannot be used.
type uselessError struct {
	kind error
	text string
}

func (e *uselessError) Error() string { return e.text }
func (e *uselessError) Unwrap() error { return e.kind }

// Permanent reports that trying again changes nothing until the identity is renewed.
func (e *uselessError) Permanent() bool { return true }

// expired reports whether the statement's time is over.
func (p *PublicIdentity) expired(now time.Time) bool { return !now.Before(p.expires) }

// future reports whether the statement was issued later than two clocks can differ.
func (p *PublicIdentity) future(now time.Time) bool { return now.Add(ClockSkew).Before(p.issued) }

// Lapsed reports whether the statement does not count at that time, because it has expired or
// was issued in the future, whoever it is of.
func (p *PublicIdentity) Lapsed(now time.Time) bool {
	return p.expired(now) || p.future(now) || !p.Revoked() && !currentKey(p, now)
}

// currentKey reports whether the primary signing key is in use at a moment that is no
// more than ClockSkew away.
func currentKey(p *PublicIdentity, now time.Time) bool {
	return p.VerifyingKey().window.meets(now.Add(-ClockSkew), now.Add(ClockSkew))
}

// ClockSkew is by how much two ends' clocks may differ.
const ClockSkew = 5 * time.Minute
