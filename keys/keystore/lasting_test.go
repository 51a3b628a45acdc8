package keystore

import (
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/hopseal/hopseal/internal/slowtest"
	"github.com/hopseal/hopseal/keys"
	"github.com/hopseal/hopseal/keys/internal/ring"
)

const day = 24 * time.Hour

// tenYears is how many days a test lasts, where there is no time for ten years.
func tenYears(short int) int {
	if os.Getenv("HOPSEAL_LONG_TESTS") != "" {
		return 3650
	}
	return short
}

// lasting makes a store with a shared keyset, whose clock is its caller's.
func lasting(t *testing.T, now *time.Time) *Store {
	t.Helper()
	s, _ := holders(t)
	*now = time.Now()
	s.clock = func() time.Time { return *now }
	return s
}

// valid fails unless peers accept the identity now and the store opens.
func valid(t *testing.T, s *Store, now time.Time) {
	t.Helper()
	p := s.Identity().Public()
	if !now.Before(p.Expires()) || now.Add(keys.ClockSkew).Before(p.Issued()) || !p.VerifyingKey().ValidAt(now) {
		t.Fatalf("on %v the identity is that of %v until %v", now, p.Issued(), p.Expires())
	}
}

// TestA61TenYearsOfDailyRotation has a service that rotates daily for ten years, and changes keys at
// once now and then.
func TestA61TenYearsOfDailyRotation(t *testing.T) {
	slowtest.Skip(t)
	var now time.Time
	s := lasting(t, &now)
	begin := now
	refs := []KeyRef{{Use: keys.UseSigning}, {Use: keys.UseSealing}, {Use: keys.UseShared, Keyset: "orders"}}
	for n := range tenYears(540) {
		if _, err := s.Rotate(DefaultRotation); err != nil {
			t.Fatalf("day %d: %v", n, err)
		}
		valid(t, s, now)
		if full := s.Filling(DefaultRotation); len(full) > 0 {
			t.Fatalf("day %d: %v", n, full)
		}
		for _, ref := range refs {
			if n%180 == 100 { // rotate -now
				id, err := s.Add(ref)
				if ref.TinkID = id; err != nil || s.Promote(ref) != nil {
					t.Fatalf("day %d: %v now: %v", n, ref, err)
				}
			}
			for _, k := range s.keys(ref) {
				if k.Stage == keys.StagePrimary && now.Sub(k.Created) > 32*day {
					t.Fatalf("day %d: %v is primary since %v", n, ref, k.Created.Sub(begin))
				}
			}
		}
		now = now.Add(day)
	}
	reopened(t, s)
}

// TestAFullKeysetStopsNothingElse keeps every key for ten years. It is told a month before a
// keyset is full, which from there on keeps its last key, and all else goes on.
func TestAFullKeysetStopsNothingElse(t *testing.T) {
	var now time.Time
	s := lasting(t, &now)
	policy := DefaultRotation
	policy.Keep = 0
	small(t)
	fill(t, s, ring.Capacity-2)
	var told, fullFrom time.Time
	for range tenYears(120) {
		if told.IsZero() && len(s.Filling(policy)) == 2 {
			told = now
		}
		_, err := s.Rotate(policy)
		switch {
		case err != nil && !errors.Is(err, ErrKeysetFull):
			t.Fatal(err)
		case err != nil && fullFrom.IsZero():
			fullFrom = now
		}
		valid(t, s, now)
		for _, k := range s.keys(KeyRef{Use: keys.UseSigning}) {
			if k.Stage == keys.StagePrimary && now.Sub(k.Created) > 32*day {
				t.Fatalf("the signing key is that of %v", k.Created)
			}
		}
		now = now.Add(day)
	}
	if ahead := fullFrom.Sub(told); told.IsZero() || fullFrom.IsZero() || ahead < 28*day || ahead > 31*day {
		t.Errorf("told on %v, full on %v", told, fullFrom)
	}
	if _, err := s.Rotate(policy); err == nil || !strings.Contains(err.Error(), "the sealing keyset") || !strings.Contains(err.Error(), `"orders"`) {
		t.Errorf("of two full keysets it tells: %v", err)
	}
	for _, use := range []keys.Use{keys.UseSealing, keys.UseShared} {
		room(t, s, KeyRef{Use: use, Keyset: "orders"})
	}
	reopened(t, s)
}

// small has keysets be full sooner.
func small(t *testing.T) {
	size := ring.Capacity
	ring.Capacity = 32
	t.Cleanup(func() { ring.Capacity = size })
}

// fill puts so many archived keys into the keysets.
func fill(t *testing.T, s *Store, archived int) {
	t.Helper()
	now := s.clock()
	used := func(r ring.Ring, _ uint32) (ring.Ring, error) {
		r, id, err := r.Add(now)
		if err != nil {
			return r, err
		}
		return r.Disable(id, now)
	}
	err := s.changeIdentity(func(before *keys.Identity) (*keys.Identity, error) {
		return identities.Changed(before, true, now, func(r ring.Ring) (ring.Ring, error) {
			var err error
			for range archived {
				r, err = used(r, 0)
			}
			return r, err
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	err = s.changeShared("orders", func(set *keys.SharedKeyset) (*keys.SharedKeyset, error) {
		var err error
		for range archived {
			if set, err = sharedKeysets.Changed(set, 0, used); err != nil {
				return nil, err
			}
		}
		return set, nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// room does what the error of a full keyset says, after which there is room.
func room(t *testing.T, s *Store, ref KeyRef) {
	t.Helper()
	if ref.Use != keys.UseShared {
		ref.Keyset = ""
	}
	_, err := s.Add(ref)
	var full *KeysetFullError
	if !errors.As(err, &full) || full.Keyset.Use != ref.Use || !strings.Contains(err.Error(), "destroy") {
		t.Fatalf("a key more: %v", err)
	}
	if err := s.Destroy(full.Keyset); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Add(ref); err != nil {
		t.Fatal(err)
	}
}
