package keystore

import (
	"testing"
	"time"

	"github.com/hopseal/hopseal/keys"
)

// TestAnAgeOfNothingMakesOneKey has a policy by which each key is worn out when it is made.
func TestAnAgeOfNothingMakesOneKey(t *testing.T) {
	var now time.Time
	s := lasting(t, &now)
	now = now.Add(time.Hour)
	if _, err := s.Rotate(RotationPolicy{Age: 1}); err != nil {
		t.Fatal(err)
	}
	for _, ref := range []KeyRef{{Use: keys.UseSigning}, {Use: keys.UseSealing}, {Use: keys.UseShared, Keyset: "orders"}} {
		if n := len(s.keys(ref)); n != 2 {
			t.Errorf("%v: %d keys", ref, n)
		}
	}
}
