package keys

import (
	"errors"
	"fmt"
	"math"
	"sync/atomic"

	"github.com/hopseal/hopseal/internal/keyset"
	"github.com/hopseal/hopseal/keys/internal/bridge"
)

// ErrSealLimit is wrapped by the error of [SharedKey.Seal] for an AES256_GCM key that must not seal:
// nothing counts its messages on disk, or it has sealed 2^30. The key still opens.
//
// The key's nonces are 12 random bytes. Two messages with the same nonce would reveal each other's
// content, and let anybody forge. Among 2^30 messages two have the same nonce with a probability of
// 2^-37. NIST SP 800-38D, section 8.3, allows 2^32 messages.
var ErrSealLimit = errors.New("keys: the AES256_GCM key must not seal")

var errUncounted = fmt.Errorf("%w: nothing counts its messages: take the shared keyset from a Store that is open for writing", ErrSealLimit)

// maxSealed is how many messages an AES256_GCM key seals in its life.
const maxSealed = bridge.MaxSealed

// usage counts what a key has sealed since it was loaded. For an AES256_GCM key the count starts at
// the number of messages that were reserved for the key on disk.
type usage struct {
	messages, bytes atomic.Uint64

	room    atomic.Uint64        // the most that messages may reach
	reserve func(n uint64) error // raises room towards n; nil if nothing counts on disk
}

// newUsage returns the usage of a pair that s did not hold before. Messages that were reserved
// earlier count as sealed, since nobody knows how many of them were.
func (s *sharedState) newUsage(id SharedKeyID, reserved uint64) *usage {
	u := new(usage)
	if s.aeads.Kind != keyset.AESGCM {
		u.room.Store(math.MaxUint64)
		return u
	}
	u.messages.Store(reserved)
	u.room.Store(reserved)
	if ledger := s.ledger; ledger != nil {
		u.reserve = func(n uint64) error { return ledger(id, &u.room, n) }
	}
	return u
}

// count counts a message that is about to be sealed. It takes the count back if the message must not
// be sealed. messages is always the number of sealed messages plus the number of callers that wait
// here; the caller that draws n is the n-th of them. So at most room callers hold a number up to
// room, even when others take theirs back. Numbers are not nonces: two callers may draw the same.
func (u *usage) count() error {
	n := u.messages.Add(1)
	for n > u.room.Load() {
		err := errUncounted
		if u.reserve != nil {
			err = u.reserve(n)
		}
		if err != nil {
			u.messages.Add(^uint64(0))
			return err
		}
	}
	return nil
}
