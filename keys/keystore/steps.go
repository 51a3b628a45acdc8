package keystore

import (
	"errors"
	"fmt"

	"github.com/hopseal/hopseal/keys"
	"github.com/hopseal/hopseal/keys/internal/ring"
)

// Add makes a new key, which is pending. Statements list an identity's signing key for peers at once.
// The caller brings a shared pair to the other holders. It returns the key's Tink id, or a
// [*KeysetFullError].
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

// Promote makes a pending key the primary. The old primary retires.
func (s *Store) Promote(ref KeyRef) error {
	defer s.inTurn()()
	return s.promote(ref)
}

func (s *Store) promote(ref KeyRef) error {
	now := s.clock()
	return s.step(ref, func(r ring.Ring, id uint32) (ring.Ring, error) { return r.Promote(id, now) })
}

// Disable archives a key that has retired, or a pending one that is not wanted. An archived key only
// opens stored messages.
func (s *Store) Disable(ref KeyRef) error {
	defer s.inTurn()()
	return s.disable(ref)
}

func (s *Store) disable(ref KeyRef) error {
	now := s.clock()
	return s.step(ref, func(r ring.Ring, id uint32) (ring.Ring, error) { return r.Disable(id, now) })
}

// Destroy removes an archived key for good. What was sealed to it cannot be opened any more, but by
// somebody who has a copy of the key.
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

// Replace makes a new key and promotes it at once. It returns the key's Tink id.
func (s *Store) Replace(ref KeyRef) (uint32, error) {
	defer s.inTurn()()
	id, err := s.add(ref)
	if err != nil && !errors.Is(err, ErrNotDurable) {
		return 0, err
	}
	ref.TinkID = id
	return id, errors.Join(err, s.promote(ref))
}
