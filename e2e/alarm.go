package e2e

import (
	"sync"
	"time"
)

// alarm is a timer that is set to the earliest of the times it is given, and costs
// little to be given another.
type alarm struct {
	timer *time.Timer

	mu sync.Mutex
	at time.Time // zero while it is not set
}

func (a *alarm) set(at time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.at.IsZero() || at.Before(a.at) {
		a.at = at
		a.timer.Reset(time.Until(at))
	}
}

// covers reports whether it rings no later than that.
func (a *alarm) covers(at time.Time) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return !a.at.IsZero() && !at.Before(a.at)
}

// clear says that it has rung.
func (a *alarm) clear() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.at = time.Time{}
}
