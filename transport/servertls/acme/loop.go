//go:build !js

package acme

import (
	"time"
)

// lookEvery is the longest time between two checks for what is due. Certificates end by the
// wall clock, which somebody may set, so a timer alone could come too late.
const lookEvery = 10 * time.Minute

// run renews certificates, retries failed orders, and writes what the cache has not taken.
func (m *Manager) run() {
	timer := time.NewTimer(lookEvery)
	defer timer.Stop()
	for {
		select {
		case <-m.ctx.Done():
			return
		case <-timer.C:
		case <-m.kick:
		}
		if at := m.store.due(); !at.IsZero() && time.Until(at) <= 0 {
			m.store.flush(m.ctx)
		}
		timer.Reset(max(m.startDue(), time.Second))
	}
}

func (m *Manager) wake() {
	select {
	case m.kick <- struct{}{}:
	default:
	}
}

// startDue starts what is due, and returns the time until the caller has to call it again.
func (m *Manager) startDue() time.Duration {
	pause := lookEvery
	if at := m.store.due(); !at.IsZero() {
		pause = min(pause, time.Until(at))
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	now := time.Now()
	for name, h := range m.hosts {
		for i, rsa := range []bool{false, true} {
			s := &h.byKind[i]
			if s.cert == nil && !s.wanted || h.flight != nil {
				continue
			}
			if s.cert != nil && now.Before(s.renew) {
				pause = min(pause, s.renew.Sub(now))
				continue
			}
			if wait := s.retry.Sub(now); wait > 0 {
				pause = min(pause, wait)
				continue
			}
			m.start(h, certKey{host: name, rsa: rsa}, true)
		}
	}
	return pause
}
