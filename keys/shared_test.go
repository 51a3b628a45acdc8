//go:build !js

package keys

import (
	"testing"
	"time"

	"github.com/hopseal/hopseal/keys/insecurecleartext"
	"github.com/hopseal/hopseal/keys/internal/ring"
)

// The two halves of a shared keyset must tell of the same life.
func TestSharedHalvesMustAgree(t *testing.T) {
	now := time.Now()
	base := func() (a, m ring.Ring) {
		s, _ := GenerateSharedKeyset()
		return s.state.Load().aeads, s.state.Load().macs
	}
	add := func(r ring.Ring) ring.Ring {
		next, _, err := r.Add(now)
		if err != nil {
			t.Fatal(err)
		}
		return next
	}
	promoted := func(r ring.Ring) ring.Ring {
		next, id, err := r.Add(now)
		if err != nil {
			t.Fatal(err)
		}
		if next, err = next.Promote(id, now); err != nil {
			t.Fatal(err)
		}
		return next
	}
	for name, make := range map[string]func() (ring.Ring, ring.Ring){
		"as made":           base,
		"one more MAC":      func() (ring.Ring, ring.Ring) { a, m := base(); return a, add(m) },
		"another primary":   func() (ring.Ring, ring.Ring) { a, m := base(); return add(a), promoted(m) },
		"MACs for AEADs":    func() (ring.Ring, ring.Ring) { a, m := base(); return m, a },
		"a keyset's signer": func() (ring.Ring, ring.Ring) { a, _ := base(); return a, testIdentity(t, "x").state.Load().signing },
	} {
		a, m := make()
		b, err := (&sharedState{aeads: a, macs: m}).append(nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := ParseCleartextSharedKeyset(b, insecurecleartext.Token{}); (err == nil) != (name == "as made") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Reading the live primary takes one pointer and no allocation.
func TestPrimaryDoesNotAllocate(t *testing.T) {
	shared, _ := GenerateSharedKeyset()
	if n := testing.AllocsPerRun(100, func() { _ = shared.Primary() }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
