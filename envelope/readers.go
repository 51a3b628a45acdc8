package envelope

import (
	"errors"

	"github.com/hopseal/hopseal/internal/strict"
	"github.com/hopseal/hopseal/keys"
)

// readers are the keys that messages are sealed to. The zero value is nobody's.
type readers struct {
	identity keys.Fingerprint // zero for a keyset
	isShared bool
	shared   *keys.SharedKeyset // nil for one that is not known any more: the guard was kept
	pair     keys.SharedKeyID   // the primary one: the keyset that was read again has it too
}

var errOtherKeys = errors.New("envelope: Opener.Replay is the first guard of other keys than messages are sealed to here: give these keys a guard of their own")

// readersOf takes a *keys.Identity or a *keys.SharedKeyset that is not empty.
func readersOf(of any) readers {
	if set, shared := of.(*keys.SharedKeyset); shared {
		return readers{isShared: true, shared: set, pair: set.Primary().ID()}
	}
	return readers{identity: of.(*keys.Identity).Fingerprint()}
}

// readers are the keyset in the shared suites, whose Identity opens nothing.
func (o *Opener) readers() readers {
	if o.Shared != nil {
		return readers{isShared: true, shared: o.Shared}
	}
	return readers{identity: o.Identity.Fingerprint()}
}

// match reports whether a guard that is the first of r has nothing to refuse that is
// sealed to others. One that is nobody's first refuses enough by itself, and nobody is
// known where somebody else than an Opener asks.
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

// bytes are 32 zeros for a keyset, since its pairs come and go.
func (r readers) bytes() []byte {
	if !r.isShared && r.identity == (keys.Fingerprint{}) {
		return nil
	}
	return r.identity[:]
}

// parseReaders takes what bytes has given.
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
