//go:build !js

package keys

import (
	"testing"
	"time"
)

// TestAnAgeOfNothingMakesOneKey has a policy by which each key is worn out when it is made.
func TestAnAgeOfNothingMakesOneKey(t *testing.T) {
	var now time.Time
	s := lasting(t, &now)
	now = now.Add(time.Hour)
	if _, err := s.Rotate(RotationPolicy{Age: 1}); err != nil {
		t.Fatal(err)
	}
	for _, ref := range []KeyRef{{Use: UseSigning}, {Use: UseSealing}, {Use: UseShared, Keyset: "orders"}} {
		if n := len(s.keys(ref)); n != 2 {
			t.Errorf("%v: %d keys", ref, n)
		}
	}
}

// TestAClockThatStartsAnewRenewsNothing has an identity in memory on a machine that shows 1970.
func TestAClockThatStartsAnewRenewsNothing(t *testing.T) {
	p := testIdentity(t, "x").Public()
	if p.aged(time.Unix(7, 0)) {
		t.Error("a statement that peers accept is replaced by one of 1970")
	}
	if !p.aged(p.Issued().Add(-time.Hour)) || !p.aged(p.RenewalDue()) {
		t.Error("a statement that is due is not replaced")
	}
}
