package e2e

import (
	"testing"
	"time"

	setclock "github.com/hopseal/hopseal/internal/stepclock"
)

// What is left of a grant is measured: the wall clock may be set meanwhile.
func TestGrantsWhenTheClockIsSet(t *testing.T) {
	start := time.Now()
	g := Grant{Expires: start.Round(0).Add(time.Hour)}.measured()
	for _, by := range []time.Duration{time.Hour, -time.Hour, 8760 * time.Hour, -8760 * time.Hour} {
		if left := g.Expires.Sub(setclock.At(start, by)); (left - time.Hour).Abs() > 10*time.Second {
			t.Errorf("set by %v: %v are left, want an hour", by, left)
		}
	}
}

func TestWasSet(t *testing.T) {
	start := time.Now()
	later := start.Add(24 * time.Hour)
	for by, want := range map[time.Duration]bool{0: false, 30 * time.Second: false, -30 * time.Second: false, time.Hour: true, -time.Hour: true} {
		if got := wasSet(start, setclock.At(later, by)); got != want {
			t.Errorf("set by %v: %v", by, got)
		}
	}
}
