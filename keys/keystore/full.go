package keystore

import (
	"fmt"
	"time"

	"github.com/hopseal/hopseal/keys"
	"github.com/hopseal/hopseal/keys/internal/ring"
)

// ErrKeysetFull is wrapped by a [*KeysetFullError].
var ErrKeysetFull = ring.ErrFull

// ErrStage is wrapped by the error for a step that a key's stage does not allow.
var ErrStage = ring.ErrStage

// A KeysetFullError says that a keyset has no room for a key that is due, now or later. The
// signing keyset is never full: its oldest retired key makes room, whose secret half is of no
// use any more.
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

// full returns the error for a key that is due in a keyset of these keys.
func full(ref KeyRef, infos []agedKey, due time.Time) *KeysetFullError {
	ref.TinkID = 0
	for _, k := range infos {
		if k.Stage == keys.StageArchived {
			ref.TinkID = k.TinkID
			break
		}
	}
	return &KeysetFullError{ref, due}
}

// isFull reports whether another key needs room that is to be made first.
func isFull(ref KeyRef, infos []agedKey) bool {
	return ref.Use != keys.UseSigning && len(infos) >= ring.Capacity
}

// SignatureLife returns for how long what the identity has signed verifies by its newest statement:
// [keys.MaxLifetime], or less where signing keys change more often than twice a day, since a statement lists
// 63 of them. A message that waits for longer than that does not open any more.
func (p RotationPolicy) SignatureLife() time.Duration {
	const past = ring.MaxSigning - 1 - 2 // beside a sealing key, the primary and the next
	if p.Age <= 0 || max(p.Age, p.Lead) >= keys.MaxLifetime/past {
		return keys.MaxLifetime
	}
	return past * max(p.Age, p.Lead)
}

// foresight is how long before a keyset is full somebody is told.
const foresight = 30 * 24 * time.Hour

// Filling returns the keysets that will be full within a month by that policy, when a key is due
// that they have no room for. Keys that become due by a count are not foreseen.
func (s *Store) Filling(p RotationPolicy) []*KeysetFullError {
	var out []*KeysetFullError
	for _, ref := range s.rotated(p) {
		if e := s.filling(ref, p); e != nil {
			out = append(out, e)
		}
	}
	return out
}

func (s *Store) filling(ref KeyRef, p RotationPolicy) *KeysetFullError {
	infos, now := s.aged(ref)
	if p.Age <= 0 || ref.Use == keys.UseSigning {
		return nil
	}
	at := nextDue(infos, p)
	for made := 0; made <= 2*ring.Capacity && at.Before(now.Add(foresight)); made++ {
		if keysLeft(infos, p, at)+min(made, p.lasting(ref)) >= ring.Capacity {
			return full(ref, infos, at)
		}
		at = at.Add(p.Age)
	}
	return nil
}

// nextDue returns when the policy wants another key.
func nextDue(infos []agedKey, p RotationPolicy) (at time.Time) {
	for _, k := range infos {
		switch k.Stage {
		case keys.StagePending:
			return k.since.Add(p.Age)
		case keys.StagePrimary:
			at = k.since.Add(max(p.Age-p.Lead, 0))
		}
	}
	return at
}

// keysLeft counts the keys that the policy has not destroyed by then.
func keysLeft(infos []agedKey, p RotationPolicy, at time.Time) (n int) {
	for _, k := range infos {
		var end time.Time
		switch k.Stage {
		case keys.StageRetiring:
			end = p.accepted(k)
		case keys.StageArchived:
			end = k.since
		}
		if p.Keep <= 0 || end.IsZero() || at.Before(end.Add(p.Keep)) {
			n++
		}
	}
	return n
}

// lasting is how many of the keys that are made from now on there are at a time.
func (p RotationPolicy) lasting(ref KeyRef) int {
	if p.Keep <= 0 {
		return ring.Capacity
	}
	listed := time.Duration(0)
	if ref.Use == keys.UseSealing {
		listed = keys.MaxLifetime
	}
	return int((p.Lead+listed+p.Overlap+p.Keep)/p.Age) + 2
}
