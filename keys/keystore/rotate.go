package keystore

import (
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/hopseal/hopseal/keys"
	"github.com/hopseal/hopseal/keys/internal/ring"
	"github.com/hopseal/hopseal/keys/internal/unixtime"
)

// A RotationPolicy says when keys take the next step of their life. The zero
// value of a field means that it never causes a step, but for Lead and Overlap,
// where it means none. Whatever the policy, an AES256_GCM primary gets a successor
// when half of its messages are used up, see [keys.ErrSealLimit]; and a sealing key that has
// retired is accepted until the last statement that listed it has expired, and Overlap
// longer.
type RotationPolicy struct {
	Age      time.Duration // of a primary, before another one is made, a minute at least; below 12 hours see [RotationPolicy.SignatureLife]
	Messages uint64        // sealed by a shared primary since it was loaded, or in all by AES256_GCM, likewise
	Bytes    uint64        // sealed by a shared primary since it was loaded, likewise

	Lead    time.Duration // from making a key to promoting it: time to distribute it
	Overlap time.Duration // from when nobody seals with a key any more to archiving it: time for what is in transit
	Keep    time.Duration // from archiving a key to destroying it; zero keeps it

	// Follow names the shared keysets that another holder rotates and hands over,
	// see [Store.UpdateSharedKeyset]: they are left alone here.
	Follow []string

	// NoRequests has [Store.Run] take no requests from [Client]s. Tests that run a store in
	// a bubble of testing/synctest set it: time stands still there while somebody listens.
	NoRequests bool

	// Logger is told by [Store.Run] of what failed, and of keysets that will be full. Nil
	// means slog.Default().
	Logger *slog.Logger
}

// DefaultRotation changes keys every 30 days, with a day to distribute a new one
// and two days for what is in transit. It destroys archived keys after a year: what was
// sealed to them, and is to be opened later than that, has to be opened and kept
// otherwise before. A Keep of zero never destroys them; the keyset is then full after
// some 31 changes, and keeps its last key from there on, see [KeysetFullError].
var DefaultRotation = RotationPolicy{
	Age: 30 * 24 * time.Hour, Messages: 1 << 30, Lead: 24 * time.Hour, Overlap: 48 * time.Hour, Keep: 365 * 24 * time.Hour,
}

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

// Add makes a new key, pending: an identity's signing key is listed for peers at
// once, a shared pair must be brought to the other holders. It returns the key's
// Tink id, or a [*KeysetFullError].
func (s *Store) Add(ref KeyRef) (uint32, error) {
	defer s.inTurn()()
	return s.add(ref)
}

func (s *Store) add(ref KeyRef) (uint32, error) {
	var made uint32
	now := s.clock() // once, since the two rings of a pair must tell the same times
	err := s.step(ref, func(r ring.Ring, _ uint32) (ring.Ring, error) {
		next, id, err := r.Add(now)
		if made == 0 {
			made = id // of a pair, the AEAD's
		}
		return next, err
	})
	if errors.Is(err, ErrKeysetFull) {
		infos, _ := s.aged(ref)
		err = full(ref, infos, now)
	}
	return made, err
}

// Promote makes a pending key the primary, and the primary retire.
func (s *Store) Promote(ref KeyRef) error {
	defer s.inTurn()()
	return s.promote(ref)
}

func (s *Store) promote(ref KeyRef) error {
	now := s.clock()
	return s.step(ref, func(r ring.Ring, id uint32) (ring.Ring, error) { return r.Promote(id, now) })
}

// Disable archives a key that has retired, or is pending and not wanted: it opens
// stored messages only.
func (s *Store) Disable(ref KeyRef) error {
	defer s.inTurn()()
	return s.disable(ref)
}

func (s *Store) disable(ref KeyRef) error {
	now := s.clock()
	return s.step(ref, func(r ring.Ring, id uint32) (ring.Ring, error) { return r.Disable(id, now) })
}

// Destroy removes an archived key for good. What it sealed cannot be opened any
// more, by anybody who has no copy of it.
func (s *Store) Destroy(ref KeyRef) error {
	defer s.inTurn()()
	return s.destroy(ref)
}

func (s *Store) destroy(ref KeyRef) error {
	return s.step(ref, func(r ring.Ring, id uint32) (ring.Ring, error) { return r.Destroy(id) })
}

// Renew signs a new statement of the identity, valid for [keys.MaxLifetime].
func (s *Store) Renew() error {
	return s.changeIdentity(func(before *keys.Identity) (*keys.Identity, error) { return identities.Renewed(before, s.clock()) })
}

// Revoke withdraws the identity for good, by a statement to hand to everybody.
func (s *Store) Revoke() error {
	return s.changeIdentity(func(before *keys.Identity) (*keys.Identity, error) { return identities.Revoked(before, s.clock()) })
}

func (s *Store) step(ref KeyRef, change func(ring.Ring, uint32) (ring.Ring, error)) error {
	if ref.Use == keys.UseShared {
		return s.changeShared(ref.Keyset, func(before *keys.SharedKeyset) (*keys.SharedKeyset, error) {
			return sharedKeysets.Changed(before, ref.TinkID, change)
		})
	}
	if ref.Use != keys.UseSigning && ref.Use != keys.UseSealing {
		return fmt.Errorf("keys: %v is not a use", ref.Use)
	}
	return s.changeIdentity(func(before *keys.Identity) (*keys.Identity, error) {
		return identities.Changed(before, ref.Use == keys.UseSealing, s.clock(), func(r ring.Ring) (ring.Ring, error) { return change(r, ref.TinkID) })
	})
}

// changeIdentity writes the identity's next state before anybody sees it.
func (s *Store) changeIdentity(change func(*keys.Identity) (*keys.Identity, error)) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	id := s.contents.identity
	for {
		before := identities.Copy(id)
		after, err := change(before)
		if err != nil {
			return err
		}
		f := s.freeze()
		f.identity = after
		err = s.write(f)
		if !tookEffect(err) || identities.Move(id, before, after) {
			return err
		}
		// A Signer was attached meanwhile: take the step again from there.
	}
}

func (s *Store) changeShared(name string, change func(*keys.SharedKeyset) (*keys.SharedKeyset, error)) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.changeSharedLocked(name, change)
}

func (s *Store) changeSharedLocked(name string, change func(*keys.SharedKeyset) (*keys.SharedKeyset, error)) error {
	set, ok := s.contents.keyset(name)
	if !ok {
		return fmt.Errorf("keys: the store has no shared keyset %q", name)
	}
	after, err := change(sharedKeysets.Copy(set))
	if err != nil {
		return err
	}
	f := s.freeze()
	for i := range f.shared {
		if f.shared[i].name == name {
			f.shared[i].set = after
		}
	}
	err = s.write(f)
	if tookEffect(err) {
		sharedKeysets.Move(set, after)
	}
	return err
}

// Rotate takes every step that is due by the policy, for all keysets of the store,
// and renews the identity's statement when half its life is over, or if it comes from the
// future. It returns when the next step will be due, the zero time for never. Each step is
// on disk before it takes effect, so that it may be interrupted and called again.
//
// Keys age by the time that was measured, or that the clock showed from one look to the
// next, two days at most: not by a clock that jumps, nor while the machine is off. After a
// jump of more than [keys.ClockSkew] only statements are renewed until it is confirmed, see
// [Store.ClockJump].
//
// What fails for one keyset stops neither the others nor the renewal: the errors are
// joined, a [*KeysetFullError] for each keyset without room for a key that is due. The error
// wraps [ErrClock] where the clock is certainly wrong.
func (s *Store) Rotate(p RotationPolicy) (next time.Time, err error) {
	defer s.inTurn()()
	t, err := s.observe()
	if err != nil {
		return time.Time{}, err
	}
	due := new(agenda)
	var failed []error
	if t.doubted() {
		due.reached(time.Unix(t.sure, 0), time.Time{})
	} else {
		for _, ref := range s.rotated(p) {
			failed = append(failed, s.rotate(ref, p, due))
		}
	}
	failed = append(failed, s.renewWhenDue(t, due), s.settle())
	return due.next, errors.Join(failed...)
}

// rotated returns the keysets that a policy is for. The keys of an identity that was
// revoked are of no use any more; those that are shared go on.
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

// reached reports whether at has come, or else notes it.
func (a *agenda) reached(at, now time.Time) bool {
	if !now.Before(at) {
		return true
	}
	if a.next.IsZero() || at.Before(a.next) {
		a.next = at
	}
	return false
}

// rotate takes the steps of one keyset until none is due. A step can make another
// one due, never without end: each moves one key on.
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

// dueStep returns the step that one of the keys is due for, nil for none, and an error
// for one that there is no room for, which keeps no other from being taken.
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

// accepted returns until when a key that has retired stays acceptable: Overlap longer than
// somebody may seal to it, by the wall clock and by the time that was measured.
func (p RotationPolicy) accepted(k agedKey) time.Time {
	end := k.since.Add(max(k.listed.Sub(k.Retired), 0))
	if end.Before(k.listed) {
		end = k.listed
	}
	return end.Add(p.Overlap)
}

// leastAge is the least that an Age counts for: below a second the next key would be worn out when it
// is made, and a rotation would make one after the other.
const leastAge = time.Minute

// worn reports whether the policy wants a successor for the primary. The new key
// is made Lead before the old one reaches its age, to be promoted on time.
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

// agedKey is a key with what the store's tally tells of it.
type agedKey struct {
	keys.KeyInfo
	since  time.Time // when its stage began, see tally
	listed time.Time // see [Store.ListedUntil]
}

// aged returns the keys of a keyset, and the time by which they have aged.
func (s *Store) aged(ref KeyRef) (out []agedKey, now time.Time) {
	infos := s.keys(ref)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.look()
	t := s.contents.tally
	for _, k := range infos {
		ref.TinkID = k.TinkID
		a := t.ages[ref]
		out = append(out, agedKey{k, time.Unix(a.since, 0), unixtime.Time(uint64(a.listed))})
	}
	return out, t.usable().Add(s.rest)
}

func (s *Store) keys(ref KeyRef) []keys.KeyInfo {
	if ref.Use == keys.UseShared {
		if set, ok := s.SharedKeyset(ref.Keyset); ok {
			return set.Keys()
		}
		return nil
	}
	var out []keys.KeyInfo
	for _, k := range s.Identity().Keys() {
		if k.Use == ref.Use {
			out = append(out, k)
		}
	}
	return out
}

func (s *Store) renewWhenDue(t tally, due *agenda) error {
	p := s.Identity().Public()
	if p.Revoked() {
		return nil
	}
	at, now := p.RenewalDue(), s.clock()
	if t.doubted() { // what it shows may be wrong: then peers go on accepting the old one
		at = p.Expires().Add(-time.Duration(unmeasured) * time.Second)
	}
	if p.Issued().After(now.Add(keys.ClockSkew)) || due.reached(at, now) {
		if err := s.Renew(); !tookEffect(err) {
			return err
		}
		return s.renewWhenDue(t, due)
	}
	return nil
}
