//go:build !js

package keys

import (
	"errors"
	"fmt"
)

// ErrSharedHistory is wrapped by the error of [Store.UpdateSharedKeyset] for a
// keyset that is not a later state of the one in the store.
var ErrSharedHistory = errors.New("keys: not a later state of this shared keyset")

// UpdateSharedKeyset brings a shared keyset to the state that another holder has
// brought it to and handed over, and whoever uses it here with it. Every key of the
// store must be there, at its stage or a later one, but for archived keys, which
// may have been destroyed. Holders that rotate one keyset each on their own cannot
// follow each other: let one of them do it, see [RotationPolicy].
func (s *Store) UpdateSharedKeyset(name string, set *SharedKeyset) error {
	if set.empty() {
		return errNil("SharedKeyset")
	}
	defer s.inTurn()()
	return s.changeShared(name, func(before *sharedState) (*sharedState, error) {
		handed := set.state.Load()
		if err := before.precedes(handed); err != nil {
			return nil, err
		}
		after := &sharedState{aeads: handed.aeads, macs: handed.macs, reserved: handed.reserved}
		return after, after.load(before)
	})
}

func (s *SharedKeyset) empty() bool { return s == nil || s.state.Load() == nil }

func (s *sharedState) precedes(later *sharedState) error {
	common := false
	for i, ours := range s.pairs {
		theirs, there := later.key(ours.id)
		common = common || there
		switch id := s.aeads.Lives[i].ID; {
		case !there && ours.stage != StageArchived:
			return fmt.Errorf("%w: it lacks key %d, which is %s here", ErrSharedHistory, id, ours.stage)
		case there && theirs.stage < ours.stage:
			return fmt.Errorf("%w: its key %d is %s, and %s here", ErrSharedHistory, id, theirs.stage, ours.stage)
		case there && !s.sameID(i, later):
			return fmt.Errorf("%w: key %d has another id", ErrSharedHistory, id)
		}
	}
	if !common {
		return fmt.Errorf("%w: it has no key in common with it", ErrSharedHistory)
	}
	return nil
}

// sameID reports whether pair i has the Tink ids there that it has here: operators
// name keys by them.
func (s *sharedState) sameID(i int, later *sharedState) bool {
	for j, k := range later.pairs {
		if k.id == s.pairs[i].id {
			return later.aeads.Lives[j].ID == s.aeads.Lives[i].ID && later.macs.Lives[j].ID == s.macs.Lives[i].ID
		}
	}
	return false
}
