package upkeep

import (
	"context"
	"sync"
	"time"
)

const (
	// fetchPause is the least time between two times that a session asks for credentials
	// on one connection, and in the long run on however many: neither a server that grants
	// a moment at a time, nor a hop that cuts each connection, makes that a load.
	fetchPause = time.Second

	// fetchBurst is how many connections may follow one another without that pause.
	fetchBurst = 8
)

// A Pace says when a session may ask its application for credentials.
type Pace struct {
	mu   sync.Mutex // guards what follows
	last time.Time  // it was asked, or will be
	full time.Time  // when fetchBurst connections may follow at once again
}

// Asked counts a time that nobody waits before.
func (p *Pace) Asked() { p.next(time.Now(), true) }

// Wait waits until the application may be asked, for a connection that is new or not. The error
// is the context's.
func (p *Pace) Wait(ctx context.Context, anew bool) error {
	now := time.Now()
	return Sleep(ctx, p.next(now, anew).Sub(now))
}

// Sleep waits for so long, or until the context ends, with its error.
func Sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// next returns when the next time is, and counts it.
func (p *Pace) next(now time.Time, anew bool) time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	at := later(now, p.full.Add(-fetchBurst*fetchPause))
	if !anew {
		at = later(at, p.last.Add(fetchPause))
	}
	p.last, p.full = at, later(at, p.full).Add(fetchPause)
	return at
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
