package keystore

import (
	"errors"
	"slices"
	"time"

	"github.com/hopseal/hopseal/keys"
	"github.com/hopseal/hopseal/keys/internal/ring"
)

// Rotate takes every step that the policy makes due, for all keysets of the store. It renews the
// identity's statement when half its life is over, or if it comes from the future. It returns when
// the next step will be due, or the zero time for never. Each step is on disk before it takes effect,
// so Rotate may be interrupted and called again.
//
// Keys age by the time that was measured, or that the clock showed from one look to the next, two
// days at most. They do not age by a clock that jumps, nor while the machine is off. After a jump of
// more than [keys.ClockSkew] Rotate renews statements only, until the jump is confirmed, see
// [Store.ClockJump].
//
// A failure of one keyset stops neither the others nor the renewal. The errors are joined, with a
// [*KeysetFullError] for each keyset that has no room for a key that is due. The error wraps
// [ErrClock] if the clock is certainly wrong.
func (s *Store) Rotate(p RotationPolicy) (next time.Time, err error) {
	defer s.inTurn()()
	t, err := s.observe()
	if err != nil {
		return time.Time{}, err
	}
	due := new(agenda)
	var failed []error
	if t.jumped() {
		due.reached(time.Unix(t.confirmAt, 0), time.Time{})
	} else {
		for _, ref := range s.rotated(p) {
			failed = append(failed, s.rotate(ref, p, due))
		}
	}
	failed = append(failed, s.renewWhenDue(t, due), s.confirmWrite())
	return due.next, errors.Join(failed...)
}

// rotated returns the keysets that a policy rotates. The keys of a revoked identity are of no use and
// stay as they are; shared keysets go on.
func (s *Store) rotated(p RotationPolicy) (refs []KeyRef) {
	if !s.Identity().Public().Revoked() {
		refs = []KeyRef{{Use: keys.UseSigning}, {Use: keys.UseSealing}}
	}
	for _, name := range s.SharedKeysets() {
		if !slices.Contains(p.Follow, name) {
			refs = append(refs, KeyRef{Use: keys.UseShared, Keyset: name})
		}
	}
	return refs
}

// agenda collects the earliest time at which something will be due.
type agenda struct{ next time.Time }

// reached reports whether the time at has come. If not, it notes it.
func (a *agenda) reached(at, now time.Time) bool {
	if !now.Before(at) {
		return true
	}
	if a.next.IsZero() || at.Before(a.next) {
		a.next = at
	}
	return false
}

// rotate takes steps of one keyset until none is due. One step can make another due. This ends,
// since each step moves a key on in its life.
func (s *Store) rotate(ref KeyRef, p RotationPolicy, due *agenda) error {
	for range 4 * ring.MaxKeys {
		var wait agenda
		step, full := s.dueStep(ref, p, &wait)
		if step == nil {
			if !wait.next.IsZero() {
				due.reached(wait.next, time.Time{})
			}
			return full
		}
		if err := step(); !tookEffect(err) {
			return err
		}
	}
	return errors.New("keys: a rotation does not come to an end")
}

// dueStep returns the next step that is due, nil for none. It also returns an error if a new key is
// due and has no room; the caller takes other steps all the same.
func (s *Store) dueStep(ref KeyRef, p RotationPolicy, wait *agenda) (step func() error, noRoom error) {
	infos, now := s.aged(ref)
	pending := false
	for _, k := range infos {
		pending = pending || k.Stage == keys.StagePending
	}
	for _, k := range infos {
		at := ref
		at.TinkID = k.TinkID
		switch {
		case k.Stage == keys.StagePending && wait.reached(k.since.Add(p.Lead), now):
			return func() error { return s.promote(at) }, nil
		case k.Stage == keys.StagePrimary && !pending && s.worn(ref, k, p, wait, now):
			if isFull(ref, infos) {
				noRoom = full(ref, infos, now)
				continue
			}
			return func() error { _, err := s.add(ref); return err }, nil
		case k.Stage == keys.StageRetiring && wait.reached(p.accepted(k), now):
			return func() error { return s.disable(at) }, nil
		case k.Stage == keys.StageArchived && p.Keep > 0 && wait.reached(k.since.Add(p.Keep), now):
			return func() error { return s.destroy(at) }, nil
		}
	}
	return nil, noRoom
}

// worn reports whether the primary needs a successor. The successor is made Lead before the primary
// reaches its age, so that it can be promoted on time.
func (s *Store) worn(ref KeyRef, k agedKey, p RotationPolicy, wait *agenda, now time.Time) bool {
	if p.Age > 0 && wait.reached(k.since.Add(max(max(p.Age, leastAge)-p.Lead, 0)), now) {
		return true
	}
	if set, ok := s.SharedKeyset(ref.Keyset); ref.Use == keys.UseShared && ok {
		messages, bytes := sharedKeysets.Used(set)
		return counted(set) && messages >= sealLimit/2 || p.Messages > 0 && messages >= p.Messages || p.Bytes > 0 && bytes >= p.Bytes
	}
	return false
}

func (s *Store) renewWhenDue(t tally, due *agenda) error {
	p := s.Identity().Public()
	if p.Revoked() {
		return nil
	}
	at, now := p.RenewalDue(), s.clock()
	if t.jumped() { // the clock may be wrong: then peers go on accepting the old statement
		at = p.Expires().Add(-time.Duration(maxUnmeasured) * time.Second)
	}
	if p.Issued().After(now.Add(keys.ClockSkew)) || due.reached(at, now) {
		if err := s.Renew(); !tookEffect(err) {
			return err
		}
		return s.renewWhenDue(t, due)
	}
	return nil
}
