package envelope

import (
	"errors"

	"github.com/hopseal/hopseal/internal/strict"
	"github.com/hopseal/hopseal/keys"
)

// readers are the keys that messages are sealed to. The zero value stands for no keys.
type readers struct {
	identity keys.Fingerprint // zero for a keyset
	isShared bool
	shared   *keys.SharedKeyset // nil if the guard was read from bytes, which do not name it
	pair     keys.SharedKeyID   // the primary pair: a copy of the keyset has it too
}

var errOtherKeys = errors.New("envelope: Opener.Replay is the first guard of other keys than messages are sealed to here: give these keys a guard of their own")

// readersOf returns the readers of a *keys.Identity or a *keys.SharedKeyset, which must not
// be empty.
func readersOf(of any) readers {
	if set, shared := of.(*keys.SharedKeyset); shared {
		return readers{isShared: true, shared: set, pair: set.Primary().ID()}
	}
	return readers{identity: of.(*keys.Identity).Fingerprint()}
}

// readers returns the keys that the Opener opens with. In the shared suites these are the
// keyset's: the Identity opens nothing there.
func (o *Opener) readers() readers {
	if o.Shared != nil {
		return readers{isShared: true, shared: o.Shared}
	}
	return readers{identity: o.Identity.Fingerprint()}
}

// match reports whether a guard that is the first of r may serve messages that are sealed to
// to. A guard that is no keys' first may serve all: it refuses what is old. Where the claim
// does not come from an Opener, to is zero, and nothing can be compared.
func (r readers) match(to readers) bool {
	switch none := (readers{}); {
	case r == none || to == none || r == to:
		return true
	case r.isShared != to.isShared || !r.isShared:
		return false
	case r.shared == nil || r.shared == to.shared:
		return true
	}
	_, holds := to.shared.Key(r.pair)
	return holds
}

// bytes returns the fingerprint of an identity, 32 zeros for a keyset, since its pairs come and
// go, and nil for no keys.
func (r readers) bytes() []byte {
	if !r.isShared && r.identity == (keys.Fingerprint{}) {
		return nil
	}
	return r.identity[:]
}

// parseReaders reads what readers.bytes returned.
func parseReaders(r *strict.Reader, b []byte) readers {
	if len(b) == 0 {
		return readers{}
	}
	var identity keys.Fingerprint
	if copy(identity[:], b) < len(identity) {
		r.Fail()
	}
	return readers{identity: identity, isShared: identity == keys.Fingerprint{}}
}
