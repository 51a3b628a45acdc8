package engine

import (
	"testing"

	"github.com/hopseal/hopseal/keys"
)

// A cache spares the root's signature and nothing else: who shows a known identity and
// does not hold its key gets no further than without.
func TestA17KnownIdentityMustProveItself(t *testing.T) {
	known := new(keys.PublicCache)
	cfg := configFor(bob)
	cfg.Known = known
	var first *keys.PublicIdentity
	for range 3 {
		c, s := client(alice), serverOf(cfg, bob)
		mustMeet(t, c, s)
		if first == nil {
			first = s.seen
		} else if s.seen != first {
			t.Error("a known identity was verified again")
		}
	}
	thief := client(alice)
	thief.sign = signWith(mallory)
	s := serverOf(cfg, bob)
	_, err := meet(thief, s, honest)
	wantReason(t, err, ErrHandshake, ReasonSignature)
	if s.seen != nil {
		t.Error("asked about a peer that proved nothing")
	}
}
