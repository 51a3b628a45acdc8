package keys

import (
	"errors"
	"fmt"
	"time"

	"github.com/hopseal/hopseal/internal/lapse"
	"github.com/hopseal/hopseal/keys/internal/unixtime"
)

var (
	// ErrExpired is matched by the error for the use of one's own identity after its statement has
	// expired. Peers refuse the identity until it is renewed.
	ErrExpired = errors.New("keys: the identity has expired")

	// ErrNotYetValid is matched by the error for the use of one's own identity whose statement was
	// issued more than [ClockSkew] in the future, by the clock of this machine. Peers refuse the
	// identity.
	ErrNotYetValid = errors.New("keys: the identity is not valid yet")
)

var errEmptyIdentity = errors.New("keys: the Identity is empty: make one with GenerateIdentity, or load it")

// Check returns nil if the identity's statement lets peers accept it at that time: it has neither
// expired nor been revoked, and was not issued in the future. Otherwise the error matches
// [ErrExpired], [ErrRevoked] or [ErrNotYetValid] and says what to do. Call Check before you use the
// identity; packages e2e and envelope do.
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

// future reports whether the statement was issued further in the future than two clocks may differ.
func (p *PublicIdentity) future(now time.Time) bool { return now.Add(ClockSkew).Before(p.issued) }

// Lapsed reports whether the statement does not count at that time: it has expired, was issued in the
// future, or lists a primary signing key that is not in use. It does not matter whose statement it
// is.
func (p *PublicIdentity) Lapsed(now time.Time) bool {
	return p.expired(now) || p.future(now) || !p.Revoked() && !currentKey(p, now)
}

// currentKey reports whether the primary signing key is in use at some moment within ClockSkew of
// now.
func currentKey(p *PublicIdentity, now time.Time) bool {
	return p.VerifyingKey().window.meets(now.Add(-ClockSkew), now.Add(ClockSkew))
}

// ClockSkew is the most that the clocks of two ends may differ.
const ClockSkew = 5 * time.Minute
