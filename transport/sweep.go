//go:build !js

package transport

import (
	"fmt"
	"time"
)

// progress is what the last sweeps saw of a connection. The Gate's mutex guards it.
type progress struct {
	bytesOut, messages int64
	movedAt            time.Duration // when bytesOut grew, or nothing was being sent
	messageAt          time.Duration // when messages grew
}

// sweepEvery returns the time between sweeps. It keeps time limits accurate to a quarter.
func (g *Gate) sweepEvery() time.Duration {
	every := time.Duration(0)
	for _, limit := range []time.Duration{g.opts.WriteTimeout, g.opts.IdleTimeout} {
		if limit > 0 && (every == 0 || limit/4 < every) {
			every = max(limit/4, time.Millisecond)
		}
	}
	return every
}

// startSweeps makes sweep run while there are connections. The caller holds g.mu.
func (g *Gate) startSweeps() {
	if every := g.sweepEvery(); every > 0 && !g.sweeping {
		g.sweeping = true
		time.AfterFunc(every, g.sweep)
	}
}

// sweep ends the connections that made no progress for too long. One sweep for all connections
// spares each message a timer.
func (g *Gate) sweep() {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := g.now()
	for m, c := range g.open {
		if why := g.overdue(m, now); why != nil {
			go c.finish(why) // waits for the peer to confirm
		}
	}
	if g.sweeping = false; len(g.open) > 0 {
		g.startSweeps()
	}
}

// overdue returns why a connection has to end, or nil.
func (g *Gate) overdue(m *meter, now time.Duration) *CloseError {
	s := &m.seen
	if out := m.traffic.bytesOut.Load(); out != s.bytesOut || m.sending.Load() == 0 {
		s.bytesOut, s.movedAt = out, now
	}
	if n := m.traffic.messagesIn.Load() + m.traffic.messagesOut.Load(); n != s.messages {
		s.messages, s.messageAt = n, now
	}
	switch limit, idle := g.opts.WriteTimeout, g.opts.IdleTimeout; {
	case limit > 0 && now-s.movedAt >= limit:
		return &CloseError{Code: CodeAbnormal, Err: fmt.Errorf("%w for %v", ErrSlowPeer, limit)}
	case idle > 0 && now-s.messageAt >= idle:
		return &CloseError{Code: CodeGoingAway, Reason: "idle", Err: fmt.Errorf("%w for %v", ErrIdle, idle)}
	}
	return nil
}
