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

// lapsed returns why a peer's statement does not count at that time, or nil.
func lapsed(want Expected, got *PublicIdentity, now time.Time) error {
	if !got.Lapsed(now) {
		return nil
	}
	e := &lapsedError{TrustError: &TrustError{Reason: TrustExpired, Want: want, Got: got.fingerprint}}
	switch {
	case got.expired(now):
		e.text = fmt.Sprintf("the statement of peer %s expired at %s, %s ago by this clock: its owner has to renew it; check both clocks",
			got.fingerprint, unixtime.Text(got.expires), lapse.Text(now.Sub(got.expires)))
	case got.future(now):
		e.Reason = TrustNotYetValid
		e.text = fmt.Sprintf("the statement of peer %s is of %s, which is still to come by this clock: check both clocks", got.fingerprint, unixtime.Text(got.issued))
	default:
		e.text = fmt.Sprintf("the statement of peer %s lists a signing key that is not in use at this time: its owner has to renew it; check both clocks", got.fingerprint)
	}
	return e
}

// A lapsedError is a [TrustError] that says more about times.
type lapsedError struct {
	*TrustError
	text string
}

func (e *lapsedError) Error() string { return "keys: " + e.text }
func (e *lapsedError) Unwrap() error { return e.TrustError }

// lapsed says of a refusal that it is the voucher for a peer that does not count, and not what the
// peer says of itself.
func (v *voucher) lapsed(because *TrustError, now time.Time) error {
	e := &lapsedError{because, fmt.Sprintf("the voucher for peer %s expired at %s: its authority has to issue another one; check this clock", because.Got, unixtime.Text(unixtime.Time(v.expires)))}
	if now.Unix() < int64(v.expires) {
		because.Reason = TrustNotYetValid
		e.text = fmt.Sprintf("the voucher for peer %s is of %s, which is still to come by this clock: check both clocks", because.Got, unixtime.Text(unixtime.Time(v.issued)))
	}
	return e
}
