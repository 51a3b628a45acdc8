//go:build !js

package keys

import (
	"fmt"
	"slices"

	"github.com/hopseal/hopseal/internal/keyset"
)

// A store counts the messages of an AES256_GCM key in blocks, each of which is on
// disk before its first message is sealed. Whatever happens to the process, no
// message is uncounted, and at most a block of numbers is lost.
//
// Variables, so that tests can come to the end of them.
var (
	sealBlock uint64 = 1 << 16
	sealLimit uint64 = maxSealed
)

var errSpent = fmt.Errorf("%w: its messages are used up: rotate the shared keyset", ErrSealLimit)

// ledger returns the store's ledger for the shared keyset of that name.
func (s *Store) ledger(name string) ledger {
	return func(id SharedKeyID, u *usage, n uint64) error {
		s.mu.Lock()
		defer s.mu.Unlock()
		if n <= u.room.Load() {
			return nil // who came before has reserved for both
		}
		if err := s.settleLocked(); err != nil {
			return err // a power cut would take back what was reserved
		}
		room := s.contents.reserved(name, id)
		if room <= u.room.Load() { // else the disk has confirmed a block late
			err := s.changeSharedLocked(name, func(before *sharedState) (after *sharedState, err error) {
				after, room, err = before.reserve(id)
				return after, err
			})
			if err != nil {
				return err
			}
		}
		u.room.Store(room)
		return nil
	}
}

// reserved returns all that a pair may have sealed, by the store's file.
func (c *contents) reserved(name string, id SharedKeyID) uint64 {
	set, _ := c.keyset(name)
	if i := set.state.Load().index(id); i >= 0 {
		return set.state.Load().reserved[i]
	}
	return 0
}

// reserve returns the state with a block more for the pair, and all that the pair
// may then have sealed.
func (s *sharedState) reserve(id SharedKeyID) (after *sharedState, room uint64, err error) {
	i := s.index(id)
	if i < 0 {
		return nil, 0, errUncounted // it was destroyed
	}
	room = min(s.reserved[i]+sealBlock, sealLimit)
	if room <= s.reserved[i] {
		return nil, 0, errSpent
	}
	next := *s
	next.reserved = slices.Clone(s.reserved)
	next.reserved[i] = room
	return &next, room, nil
}

// countedBy returns the state with pairs whose messages the ledger counts. Those
// taken out before stay uncounted, and so open only.
func (s *sharedState) countedBy(l ledger) *sharedState {
	if s.aeads.Kind != keyset.AESGCM {
		return s
	}
	after := *s
	after.ledger, after.pairs = l, nil
	for i, k := range s.pairs {
		pair := *k
		pair.sealed = after.newUsage(k.id, s.reserved[i])
		after.pairs = append(after.pairs, &pair)
	}
	after.primary = after.pairs[s.aeads.Primary()]
	return &after
}

// spend leaves nothing to seal to the keys of a state that nobody uses yet.
func (s *sharedState) spend() {
	for i := range s.reserved {
		s.reserved[i] = sealLimit
	}
}

// halfSpent reports whether it is time for another AES256_GCM primary. The other
// half is for the time that it takes to distribute it.
func (s *sharedState) halfSpent() bool {
	return s.aeads.Kind == keyset.AESGCM && s.primary.sealed.messages.Load() >= sealLimit/2
}
