package trust

import (
	"fmt"
	"time"

	"github.com/hopseal/hopseal/internal/lapse"
	"github.com/hopseal/hopseal/keys"
	"github.com/hopseal/hopseal/keys/internal/unixtime"
)

// Reason is why an identity was not trusted.
type Reason byte

const (
	Unknown     Reason = iota + 1 // never admitted for what was expected
	Changed                       // another root is known there, or another statement with the same serial
	Revoked                       // its root has withdrawn it
	Expired                       // its statement, or the voucher for it, has expired
	RolledBack                    // a newer statement of the same root has been seen
	NotYetValid                   // its statement was issued in the future, by the clock of this end
)

func (r Reason) String() string {
	switch r {
	case Unknown:
		return "unknown"
	case Changed:
		return "changed"
	case Revoked:
		return "revoked"
	case Expired:
		return "expired"
	case RolledBack:
		return "rolled back"
	case NotYetValid:
		return "not yet valid"
	}
	return fmt.Sprintf("trust.Reason(%d)", r)
}

// An Error says why a peer was not trusted.
type Error struct {
	Reason Reason
	Want   Expected
	Got    keys.Fingerprint
	Known  []keys.Fingerprint // the roots that are known for Want, if Reason is Changed
}

var advice = map[Reason]string{
	Unknown:    "compare its fingerprint with the owner, then admit it",
	Changed:    "somebody may be in the middle: compare fingerprints before going on",
	Revoked:    "its owner has withdrawn it: ask for the new one",
	Expired:    "its owner has to renew it; check both clocks",
	RolledBack: "an older copy was presented: ask its owner for the current one",

	NotYetValid: "its statement is from the future: check both clocks",
}

// Error names the fingerprint and what to do. It shows no text that the peer
// chose.
func (e *Error) Error() string {
	return fmt.Sprintf("keys: peer %s is %s: %s", e.Got, e.Reason, advice[e.Reason])
}

// Permanent reports that trying again changes nothing until a person acts.
func (e *Error) Permanent() bool { return true }

// A timeError wraps an [Error] about a statement or a voucher that does not count now. It names the
// times.
type timeError struct {
	cause *Error
	text  string
}

func (e *timeError) Error() string   { return "keys: " + e.text }
func (e *timeError) Unwrap() error   { return e.cause }
func (e *timeError) Permanent() bool { return true }

// checkTime returns an error that says why a peer's statement does not count at that time, or nil.
func checkTime(want Expected, got *keys.PublicIdentity, now time.Time) error {
	if !got.Lapsed(now) {
		return nil
	}
	e := &timeError{cause: &Error{Reason: Expired, Want: want, Got: got.Fingerprint()}}
	switch {
	case !now.Before(got.Expires()):
		e.text = fmt.Sprintf("the statement of peer %s expired at %s, %s ago by this clock: its owner has to renew it; check both clocks",
			got.Fingerprint(), unixtime.Text(got.Expires()), lapse.Text(now.Sub(got.Expires())))
	case now.Add(keys.ClockSkew).Before(got.Issued()):
		e.cause.Reason = NotYetValid
		e.text = fmt.Sprintf("the statement of peer %s is of %s, which is still to come by this clock: check both clocks", got.Fingerprint(), unixtime.Text(got.Issued()))
	default:
		e.text = fmt.Sprintf("the statement of peer %s lists a signing key that is not in use at this time: its owner has to renew it; check both clocks", got.Fingerprint())
	}
	return e
}
