package upkeep

import (
	"context"
	"sync"
	"time"

	"github.com/hopseal/hopseal/internal/sleep"
)

const (
	// fetchPause is the least time between two requests for credentials on one connection,
	// and on average between all requests. So neither a server whose grants last a moment,
	// nor a hop that cuts each connection, puts a load on the application.
	fetchPause = time.Second

	// fetchBurst is how many connections may follow one another without that pause.
	fetchBurst = 8
)

// A Pace says when a session may ask its application for credentials.
type Pace struct {
	mu   sync.Mutex // guards what follows
	last time.Time  // when the application was asked last, or will be
	full time.Time  // when fetchBurst connections may again follow at once
}

// Asked counts a request that was made without waiting.
func (p *Pace) Asked() { p.next(time.Now(), true) }

// Wait waits until the session may ask the application. anew says that the request is for a new
// connection. The error is the context's.
func (p *Pace) Wait(ctx context.Context, anew bool) error {
	now := time.Now()
	wait := p.next(now, anew).Sub(now)
	if wait <= 0 {
		return nil
	}
	return sleep.For(ctx, wait)
}

// next returns when the next request may be made, and counts it.
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
