package keystore

import (
	"bytes"
	"os"
	"testing"
	"time"

	"github.com/hopseal/hopseal/internal/keyset"
	"github.com/hopseal/hopseal/keys"
	"github.com/hopseal/hopseal/keys/internal/ring"
)

// reopened closes a store, opens it again as another process would, and gives it the
// same clock.
func reopened(t *testing.T, s *Store) *Store {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	again, err := Open(t.Context(), s.path, passphrase)
	if err != nil {
		t.Fatalf("what was written cannot be opened: %v", err)
	}
	t.Cleanup(func() { again.Close() })
	again.clock = s.clock
	return again
}

// TestAStoreOpensWhateverTheClockDoes takes every step of every kind of key under
// clocks that jump a second whenever somebody looks, and that are set back by an hour.
// The two rings of a pair tell the same times, and no key goes back in its life.
func TestAStoreOpensWhateverTheClockDoes(t *testing.T) {
	for name, stride := range map[string]time.Duration{"forward": time.Second, "back": -time.Hour} {
		t.Run(name, func(t *testing.T) {
			s, _ := holders(t)
			now := time.Now()
			clock := func() time.Time { now = now.Add(stride); return now }
			s.clock = clock
			for _, ref := range []KeyRef{{Use: keys.UseShared, Keyset: "orders"}, {Use: keys.UseSigning}, {Use: keys.UseSealing}} {
				for _, unused := range []bool{false, true} {
					walk := ref
					first := s.keys(ref)[0].TinkID
					id, err := s.Add(ref)
					if err != nil {
						t.Fatalf("%v: add: %v", ref, err)
					}
					s = reopened(t, s)
					if walk.TinkID = id; !unused {
						if err := s.Promote(walk); err != nil {
							t.Fatalf("%v: promote: %v", ref, err)
						}
						s = reopened(t, s)
						walk.TinkID = first
					}
					if err := s.Disable(walk); err != nil {
						t.Fatalf("%v: disable: %v", ref, err)
					}
					s = reopened(t, s)
					if err := s.Destroy(walk); err != nil {
						t.Fatalf("%v: destroy: %v", ref, err)
					}
					s = reopened(t, s)
				}
			}
		})
	}
}

// TestWhatCannotBeReadAgainIsNotWritten has a state that no reader accepts.
func TestWhatCannotBeReadAgainIsNotWritten(t *testing.T) {
	s, _ := holders(t)
	before, err := os.ReadFile(s.path)
	if err != nil {
		t.Fatal(err)
	}
	f := s.freeze()
	f.shared[0].set, err = sharedKeysets.Changed(f.shared[0].set, 0, func(r ring.Ring, _ uint32) (ring.Ring, error) {
		if r.Kind == keyset.HMAC {
			r.Lives = []ring.Life{{ID: r.Lives[0].ID, Created: 1, Promoted: 1}}
		}
		return r, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.write(f); err == nil {
		t.Error("a pair whose halves tell different times was written")
	}
	after, err := os.ReadFile(s.path)
	if err != nil || !bytes.Equal(before, after) {
		t.Errorf("the file has changed: %v", err)
	}
	reopened(t, s)
}
