package keystore

import (
	"fmt"
	"time"

	"github.com/hopseal/hopseal/keys"
	"github.com/hopseal/hopseal/keys/internal/ring"
)

// A KeyRef names a key in a store, or a keyset where TinkID is 0.
type KeyRef struct {
	Use    keys.Use
	Keyset string // the shared keyset's name, for UseShared
	TinkID uint32
}

func (k KeyRef) String() string {
	if k.Use == keys.UseShared {
		return fmt.Sprintf("shared keyset %q key %d", k.Keyset, k.TinkID)
	}
	return fmt.Sprintf("%s key %d", k.Use, k.TinkID)
}

// ErrKeysetFull is wrapped by a [*KeysetFullError].
var ErrKeysetFull = ring.ErrFull

// ErrStage is wrapped by the error for a step that a key's stage does not allow.
var ErrStage = ring.ErrStage

// A KeysetFullError says that a keyset has no room for a key that is due, now or later. The
// signing keyset is never full: its oldest retired key makes room, since its secret half is of no use
// any more.
type KeysetFullError struct {
	Keyset KeyRef    // TinkID is the oldest archived key, 0 for none
	Due    time.Time // when there is to be another key
}

func (e *KeysetFullError) Error() string {
	set := KeyRef{Use: e.Keyset.Use, Keyset: e.Keyset.Keyset}.keyset()
	advice := "it waits until another one is archived and destroyed: change keys less often, or keep them for a shorter time"
	if e.Keyset.TinkID != 0 {
		advice = fmt.Sprintf("destroy its oldest archived key, %d, with which what was sealed to that key opens no more, or have the policy do so (Keep)", e.Keyset.TinkID)
	}
	return fmt.Sprintf("keys: %s has %d keys, and no room for the one due %s: %v: %s",
		set, ring.Capacity, e.Due.UTC().Format(time.RFC3339), ErrKeysetFull, advice)
}

// Unwrap returns [ErrKeysetFull].
func (e *KeysetFullError) Unwrap() error { return ErrKeysetFull }

func (k KeyRef) keyset() string {
	if k.Use == keys.UseShared {
		return fmt.Sprintf("shared keyset %q", k.Keyset)
	}
	return fmt.Sprintf("the %s keyset", k.Use)
}
