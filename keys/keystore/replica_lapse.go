package keystore

import (
	"errors"
	"fmt"
	"time"

	"github.com/hopseal/hopseal/internal/lapse"
	"github.com/hopseal/hopseal/keys/internal/unixtime"
)

// ErrExpiring is matched by the errors that [Replica.Run] reports 7, 3 and 1 days before the identity
// expires, once each: the store's writer has stopped renewing it. At the end the error matches
// [keys.ErrExpired].
var ErrExpiring = errors.New("keys: the identity expires soon")

// lapsing returns an error if the replica's identity is about to expire or has expired. It gives each
// notice once.
func (r *Replica) lapsing(notices *lapse.Watch) error {
	id, now := r.Identity(), time.Now()
	p := id.Public()
	if p.Revoked() {
		return nil
	}
	switch left, due := notices.Due(p.Issued(), p.Expires(), now); {
	case !due:
		return nil
	case left <= 0:
		return fmt.Errorf("keys: the writer of %s has not renewed its identity: see whether it runs: %w", r.path, id.Check(now))
	default:
		return &expiringError{fmt.Sprintf("keys: the identity of %s expires in %s, at %s: see whether the store's writer runs, since it has not renewed it",
			r.path, lapse.Text(left), unixtime.Text(p.Expires()))}
	}
}

// An expiringError matches [ErrExpiring].
type expiringError struct{ text string }

func (e *expiringError) Error() string { return e.text }
func (e *expiringError) Unwrap() error { return ErrExpiring }

// Permanent reports that trying again changes nothing until the identity is renewed.
func (e *expiringError) Permanent() bool { return true }
