package keystore

import (
	"fmt"
	"sync/atomic"

	"github.com/hopseal/hopseal/internal/keyset"
	"github.com/hopseal/hopseal/keys"
	"github.com/hopseal/hopseal/keys/internal/bridge"
)

// A store counts the messages of an AES256_GCM key in blocks. A block is on disk before its first
// message is sealed. Whatever happens to the process, every message is counted, and at most one
// block is lost.
//
// They are variables so that tests can use them up.
var (
	sealBlock uint64 = 1 << 16
	sealLimit uint64 = bridge.MaxSealed
)

var errUsedUp = fmt.Errorf("%w: its messages are used up: rotate the shared keyset", keys.ErrSealLimit)

// ledger returns the store's ledger for the shared keyset of that name.
func (s *Store) ledger(name string) bridge.Ledger {
	return func(id [32]byte, room *atomic.Uint64, n uint64) error {
		s.mu.Lock()
		defer s.mu.Unlock()
		if n <= room.Load() {
			return nil // an earlier caller has reserved for both
		}
		if err := s.confirmLocked(); err != nil {
			return err // a power cut would take back what was reserved
		}
		reserved := s.contents.reserved(name, id)
		if reserved <= room.Load() { // else the block before has been confirmed only now
			err := s.changeSharedLocked(name, func(before *keys.SharedKeyset) (after *keys.SharedKeyset, err error) {
				after, reserved, err = reserve(before, id)
				return after, err
			})
			if err != nil {
				return err
			}
		}
		room.Store(reserved)
		return nil
	}
}

// reserve returns the keyset with another block for the pair, and how many messages the pair may
// then have sealed in all.
func reserve(set *keys.SharedKeyset, id [32]byte) (after *keys.SharedKeyset, all uint64, err error) {
	n, held := sharedKeysets.Reserved(set, id)
	if !held {
		return nil, 0, sharedKeysets.Uncounted // it was destroyed
	}
	all = min(n+sealBlock, sealLimit)
	if all <= n {
		return nil, 0, errUsedUp
	}
	return sharedKeysets.WithReserved(set, id, all), all, nil
}

// counted reports whether the messages of a keyset's keys are counted on disk.
func counted(set *keys.SharedKeyset) bool {
	aeads, _ := sharedKeysets.Rings(set)
	return aeads.Kind == keyset.AESGCM
}
