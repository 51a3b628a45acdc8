package keystore

import (
	"errors"
	"fmt"
	"slices"

	"github.com/hopseal/hopseal/keys"
	"github.com/hopseal/hopseal/keys/internal/missing"
)

// ErrSharedHistory is wrapped by the error of [Store.UpdateSharedKeyset] for a
// keyset that is not a later state of the one in the store.
var ErrSharedHistory = errors.New("keys: not a later state of this shared keyset")

// UpdateSharedKeyset brings a shared keyset to a later state that another holder has handed over.
// Whoever uses the keyset here follows. The later state must hold every key of the store, at the same
// stage or a later one; only archived keys may be missing, as destroyed. Let one holder rotate a
// keyset: holders that each rotate it on their own cannot follow each other, see [RotationPolicy].
func (s *Store) UpdateSharedKeyset(name string, set *keys.SharedKeyset) error {
	if noSharedKeyset(set) {
		return missing.Arg("SharedKeyset")
	}
	defer s.inTurn()()
	return s.changeShared(name, func(before *keys.SharedKeyset) (*keys.SharedKeyset, error) {
		handed := sharedKeysets.Copy(set)
		if err := precedes(before, handed); err != nil {
			return nil, err
		}
		return sharedKeysets.Updated(before, handed)
	})
}

// precedes returns an error if later is not a later state of the keyset.
func precedes(set, later *keys.SharedKeyset) error {
	theirs, common := later.Keys(), false
	for i, ours := range set.Keys() {
		j := slices.IndexFunc(theirs, func(k keys.KeyInfo) bool { return k.ID == ours.ID })
		common = common || j >= 0
		switch {
		case j < 0 && ours.Stage != keys.StageArchived:
			return fmt.Errorf("%w: it lacks key %d, which is %s here", ErrSharedHistory, ours.TinkID, ours.Stage)
		case j >= 0 && theirs[j].Stage < ours.Stage:
			return fmt.Errorf("%w: its key %d is %s, and %s here", ErrSharedHistory, ours.TinkID, theirs[j].Stage, ours.Stage)
		case j >= 0 && !sameIDs(set, i, later, j):
			return fmt.Errorf("%w: key %d has another id", ErrSharedHistory, ours.TinkID)
		}
	}
	if !common {
		return fmt.Errorf("%w: it has no key in common with it", ErrSharedHistory)
	}
	return nil
}

// sameIDs reports whether two pairs have the same Tink ids: operators name keys by them.
func sameIDs(a *keys.SharedKeyset, i int, b *keys.SharedKeyset, j int) bool {
	aeadsA, macsA := sharedKeysets.Rings(a)
	aeadsB, macsB := sharedKeysets.Rings(b)
	return aeadsA.Lives[i].ID == aeadsB.Lives[j].ID && macsA.Lives[i].ID == macsB.Lives[j].ID
}
