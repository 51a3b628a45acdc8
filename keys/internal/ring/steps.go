package ring

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/hopseal/hopseal/internal/keyset"
)

// The steps of a key's life. Only a keystore takes them, and browsers have none.

var (
	// ErrStage is keystore.ErrStage.
	ErrStage = errors.New("keys: the key's stage does not allow that")
	// ErrFull is keystore.ErrKeysetFull.
	ErrFull = errors.New("the keyset is full")
)

// Find returns the index of the key with that Tink id.
func (r Ring) Find(id uint32) (int, error) {
	i := slices.IndexFunc(r.Lives, func(l Life) bool { return l.ID == id })
	if i < 0 {
		return 0, fmt.Errorf("keys: no key %d in this keyset", id)
	}
	return i, nil
}

// expect returns the index of a key that must be in one of the stages.
func (r Ring) expect(id uint32, stages ...Stage) (int, error) {
	i, err := r.Find(id)
	if err != nil {
		return 0, err
	}
	if s := r.Lives[i].Stage(); !slices.Contains(stages, s) {
		return 0, fmt.Errorf("%w: key %d is %s", ErrStage, id, s)
	}
	return i, nil
}

// Add makes a new key, pending.
func (r Ring) Add(now time.Time) (Ring, uint32, error) {
	r, err := r.withRoom()
	if err != nil {
		return Ring{}, 0, err
	}
	set, id, err := r.Set.Add(r.Kind)
	if err != nil {
		return Ring{}, 0, err
	}
	lives := append(slices.Clone(r.Lives), Life{ID: id, Created: uint64(now.Unix())})
	return Ring{r.Kind, set, lives}, id, nil
}

// withRoom returns the ring with room for another key. A full signing ring loses its oldest retired
// key: only that key's public half is still of use, and statements go on listing it. A full ring of
// another kind loses no key, since what was sealed to it would be lost too.
func (r Ring) withRoom() (Ring, error) {
	if len(r.Lives) < r.size() {
		return r, nil
	}
	oldest := slices.IndexFunc(r.Lives, func(l Life) bool { return l.Stage() > Primary })
	if r.Kind != keyset.Ed25519 || oldest < 0 {
		return Ring{}, fmt.Errorf("keys: %w", ErrFull)
	}
	set, err := r.Set.Destroy(r.Lives[oldest].ID)
	if err != nil {
		return Ring{}, err
	}
	return Ring{r.Kind, set, slices.Delete(slices.Clone(r.Lives), oldest, oldest+1)}, nil
}

// Capacity is how many keys a ring holds, except a ring of signing keys. It is a variable, so that
// tests can fill a ring.
var Capacity = MaxKeys

func (r Ring) size() int {
	if r.Kind == keyset.Ed25519 {
		return MaxSigning
	}
	return Capacity
}

// Promote makes a pending key the primary. The primary retires.
func (r Ring) Promote(id uint32, now time.Time) (Ring, error) {
	i, err := r.expect(id, Pending)
	if err != nil {
		return Ring{}, err
	}
	set, err := r.Set.Promote(id)
	if err != nil {
		return Ring{}, err
	}
	lives := slices.Clone(r.Lives)
	before, next := &lives[r.Primary()], &lives[i]
	at := notBefore(now, before.Promoted, next.Created)
	before.Retired, next.Promoted = at, at
	return Ring{r.Kind, set, lives}, nil
}

// Disable archives a retiring key, or a pending one that will not be used.
func (r Ring) Disable(id uint32, now time.Time) (Ring, error) {
	i, err := r.expect(id, Retiring, Pending)
	if err != nil {
		return Ring{}, err
	}
	set, err := r.Set.Disable(id)
	if err != nil {
		return Ring{}, err
	}
	lives := slices.Clone(r.Lives)
	l := &lives[i]
	at := notBefore(now, l.Created, l.Retired)
	if l.Promoted == 0 {
		l.Promoted, l.Retired = at, at
	}
	l.Archived = at
	return Ring{r.Kind, set, lives}, nil
}

// notBefore returns the time of a step: now, or that of the latest earlier step if the clock was set
// back. A reader of the ring would refuse a time before that.
func notBefore(now time.Time, earlier ...uint64) uint64 {
	return max(uint64(max(now.Unix(), 0)), slices.Max(earlier))
}

// Destroy removes an archived key.
func (r Ring) Destroy(id uint32) (Ring, error) {
	i, err := r.expect(id, Archived)
	if err != nil {
		return Ring{}, err
	}
	set, err := r.Set.Destroy(id)
	if err != nil {
		return Ring{}, err
	}
	return Ring{r.Kind, set, slices.Delete(slices.Clone(r.Lives), i, i+1)}, nil
}
