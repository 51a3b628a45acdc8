//go:build !js

package keys

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/hopseal/hopseal/internal/keyset"
)

// The steps of a key's life. Only a [Store] takes them, which browsers do not have.

// ErrStage is wrapped by the error for a step that a key's stage does not allow.
var ErrStage = errors.New("keys: the key's stage does not allow that")

func (r ring) find(id uint32) (int, error) {
	i := slices.IndexFunc(r.lives, func(l life) bool { return l.id == id })
	if i < 0 {
		return 0, fmt.Errorf("keys: no key %d in this keyset", id)
	}
	return i, nil
}

// expect returns the index of a key that must be in one of the stages.
func (r ring) expect(id uint32, stages ...Stage) (int, error) {
	i, err := r.find(id)
	if err != nil {
		return 0, err
	}
	if s := r.lives[i].stage(); !slices.Contains(stages, s) {
		return 0, fmt.Errorf("%w: key %d is %s", ErrStage, id, s)
	}
	return i, nil
}

func (r ring) add(now time.Time) (ring, uint32, error) {
	r, err := r.withRoom()
	if err != nil {
		return ring{}, 0, err
	}
	set, id, err := r.set.add(r.kind)
	if err != nil {
		return ring{}, 0, err
	}
	lives := append(slices.Clone(r.lives), life{id: id, created: uint64(now.Unix())})
	return ring{r.kind, set, lives}, id, nil
}

// withRoom returns the ring with room for another key. Of signing keys that have retired only
// the public half is of use, which statements go on listing: the oldest makes room. What was
// sealed to a key is lost with it, so that destroying one of those is for others to decide.
func (r ring) withRoom() (ring, error) {
	if len(r.lives) < r.size() {
		return r, nil
	}
	oldest := slices.IndexFunc(r.lives, func(l life) bool { return l.stage() > StagePrimary })
	if r.kind != keyset.Ed25519 || oldest < 0 {
		return ring{}, fmt.Errorf("keys: %w", ErrKeysetFull)
	}
	set, err := r.set.destroy(r.lives[oldest].id)
	if err != nil {
		return ring{}, err
	}
	return ring{r.kind, set, slices.Delete(slices.Clone(r.lives), oldest, oldest+1)}, nil
}

// maxSigningKeys is how many signing keys a ring holds: as many as statements list, and one more.
const maxSigningKeys = maxListedKeys

// ringKeys is how many of all others. A variable, so that tests can come to the end of it.
var ringKeys = maxRingKeys

func (r ring) size() int {
	if r.kind == keyset.Ed25519 {
		return maxSigningKeys
	}
	return ringKeys
}

func (r ring) promote(id uint32, now time.Time) (ring, error) {
	i, err := r.expect(id, StagePending)
	if err != nil {
		return ring{}, err
	}
	set, err := r.set.promote(id)
	if err != nil {
		return ring{}, err
	}
	lives := slices.Clone(r.lives)
	before, next := &lives[r.primary()], &lives[i]
	at := notBefore(now, before.promoted, next.created)
	before.retired, next.promoted = at, at
	return ring{r.kind, set, lives}, nil
}

// disable archives a retiring key, or a pending one that will not be used.
func (r ring) disable(id uint32, now time.Time) (ring, error) {
	i, err := r.expect(id, StageRetiring, StagePending)
	if err != nil {
		return ring{}, err
	}
	set, err := r.set.disable(id)
	if err != nil {
		return ring{}, err
	}
	lives := slices.Clone(r.lives)
	l := &lives[i]
	at := notBefore(now, l.created, l.retired)
	if l.promoted == 0 {
		l.promoted, l.retired = at, at
	}
	l.parted = at
	return ring{r.kind, set, lives}, nil
}

// notBefore returns the time of a step. A clock that was set back does not take a key
// back in its life, which no reader of the ring would believe.
func notBefore(now time.Time, earlier ...uint64) uint64 {
	return max(uint64(max(now.Unix(), 0)), slices.Max(earlier))
}

func (r ring) destroy(id uint32) (ring, error) {
	i, err := r.expect(id, StageArchived)
	if err != nil {
		return ring{}, err
	}
	set, err := r.set.destroy(id)
	if err != nil {
		return ring{}, err
	}
	return ring{r.kind, set, slices.Delete(slices.Clone(r.lives), i, i+1)}, nil
}

// changeRing steps the ring of one use.
func (s *identityState) changeRing(use Use, now time.Time, change func(ring) (ring, error)) (*identityState, error) {
	return s.step(now, func(next *identityState) (err error) {
		switch {
		case use == UseSealing:
			next.sealing, err = change(s.sealing)
		case s.external():
			err = errors.New("keys: messages are signed by an external Signer: rotate it where it is kept")
		default:
			next.signing, err = change(s.signing)
		}
		return err
	})
}

// step returns the state after the same change of both rings. The change is told
// which of the two Tink ids of a pair it is about.
func (s *sharedState) step(tinkID uint32, change func(r ring, id uint32) (ring, error)) (*sharedState, error) {
	macID := uint32(0)
	if i, err := s.aeads.find(tinkID); err == nil {
		macID = s.macs.lives[i].id
	}
	next := new(sharedState)
	var err error
	if next.aeads, err = change(s.aeads, tinkID); err != nil {
		return nil, err
	}
	if next.macs, err = change(s.macs, macID); err != nil {
		return nil, err
	}
	return next, next.load(s)
}
