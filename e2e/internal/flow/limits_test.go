package flow

import (
	"testing"
	"time"

	setclock "github.com/hopseal/hopseal/internal/stepclock"
)

// What is left of a limit is measured, and the wall clock may be set meanwhile. What is stored
// of it is a time that the wall clock shows, as it is then.
func TestLimitsWhenTheClockIsSet(t *testing.T) {
	for name, by := range map[string]time.Duration{
		"an hour on": time.Hour, "an hour back": -time.Hour, "a year on": 8760 * time.Hour, "a year back": -8760 * time.Hour,
	} {
		t.Run(name, func(t *testing.T) {
			start := time.Now()
			near := func(what string, got, want time.Duration) {
				t.Helper()
				if (got - want).Abs() > 10*time.Second {
					t.Errorf("%s: %v, want %v", what, got, want)
				}
			}
			for what, c := range map[string]struct {
				limit func(l *Limits)
				want  time.Duration
			}{
				"idle":        {func(l *Limits) { l.idle = time.Hour }, time.Hour},
				"park":        {func(l *Limits) { l.park, l.parked = time.Hour, start }, time.Hour},
				"age":         {func(l *Limits) { l.age = 2 * time.Hour }, time.Hour},
				"credentials": {func(l *Limits) { l.expiry = start.Add(time.Hour) }, time.Hour},
			} {
				l := Limits{age: 1000 * time.Hour, park: 2000 * time.Hour, born: start.Add(-time.Hour)}
				l.active.from = start
				c.limit(&l)
				now := setclock.At(start, by)
				l.touch(now)
				at, _ := l.next()
				near(what, at.Sub(now), c.want)
				near(what+", stored", l.RecordExpires(now, false).Round(0).Sub(now.Round(0)), c.want)
			}
		})
	}
}
