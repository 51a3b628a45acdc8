package flow

import (
	"sync"
	"time"
)

// An alarm is a timer that rings at the earliest of the times it is set to. Setting it to a later
// one costs little.
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

// covers reports whether the alarm rings at that time or before.
func (a *alarm) covers(at time.Time) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return !a.at.IsZero() && !at.Before(a.at)
}

// clear unsets the alarm after it has rung.
func (a *alarm) clear() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.at = time.Time{}
}
