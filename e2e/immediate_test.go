package e2e_test

import (
	"testing"

	"github.com/hopseal/hopseal/keys/trust"
)

// A wrapped is a Verifier of the application's, around one of ours.
type wrapped struct{ trust.Verifier }

// Pins are compared in place. Whatever the application puts around them is asked aside.
func TestPinnedIsImmediate(t *testing.T) {
	pins := trust.Pinned(bob.Fingerprint())
	if _, ok := pins.(interface{ Immediate() }); !ok {
		t.Error("pins are asked aside")
	}
	if _, ok := any(wrapped{pins}).(interface{ Immediate() }); ok {
		t.Error("a Verifier of the application's is called in place")
	}
}
