//go:build !js

package transport

import (
	"context"
	"math"
	"sync/atomic"
	"time"
)

// pongPatience is how long a ping waits for the message that is on its way to
// whoever sent it. The WebSocket below cuts a connection on which a pong takes 5
// seconds.
const pongPatience = 2 * time.Second

// writes knows of the Writes of a connection.
type writes struct {
	underway atomic.Int64
	ended    chan struct{} // holds a token when one has ended
}

func newWrites() *writes { return &writes{ended: make(chan struct{}, 1)} }

func (w *writes) begin() { w.underway.Add(1) }

func (w *writes) end() {
	w.underway.Add(-1)
	select {
	case w.ended <- struct{}{}:
	default:
	}
}

// letPong reports whether a ping is answered. It is not where that would have to
// wait behind a message that a slow peer takes long for: the bytes of that show
// the peer as well that we are there.
func (w *writes) letPong(ctx context.Context, _ []byte) bool {
	select {
	case <-w.ended: // one from before
	default:
	}
	if w.underway.Load() == 0 {
		return true
	}
	late := time.NewTimer(pongPatience)
	defer late.Stop()
	select {
	case <-w.ended:
		return true
	case <-late.C:
	case <-ctx.Done():
	}
	return false
}

// startPulse begins to ping the peer every c.every, if that is positive.
func (c *wsConn) startPulse() {
	c.pulse = time.AfterFunc(math.MaxInt64, c.beat)
	if c.every > 0 {
		c.pulse.Reset(c.every)
	} else {
		c.pulse.Stop()
	}
}

// beat pings the peer and ends the connection if the peer is gone.
func (c *wsConn) beat() {
	if c.end.over() {
		return
	}
	if c.silent() {
		c.finish(lost(errSilent))
		return
	}
	c.pulse.Reset(c.every)
}

// Watch tells the connection of a layer above that hears from the peer by itself, and when it
// last did. A ping waits in the buffers on the way behind what is under way already; what the
// layer above hears about that shows the peer as well. It is called before anything is read.
func (c *wsConn) Watch(heard func() time.Time) { c.above.Store(&heard) }

// spared returns how long the peer may still be silent for what the layer above has heard: twice
// the time between pings, as long as it takes to notice a peer that has always been silent.
func (c *wsConn) spared() time.Duration {
	if heard := c.above.Load(); heard != nil {
		return 2*c.every - time.Since((*heard)())
	}
	return 0
}

// silent pings the peer and reports whether it is gone. A pong only shows while
// somebody reads, and only between the frames of messages, so its absence proves
// nothing by itself: the peer is gone if one Read waited all the time for a pong
// and got nothing at all. A ping waits behind our own frames too, so it proves
// nothing while we write; then there is no need of one for proxies either. The
// same holds where a Gate has us wait before we read on.
func (c *wsConn) silent() bool {
	before := c.heard.Load()
	bytes, _ := c.meter.heard()
	if c.writes.underway.Load() > 0 {
		return false
	}
	ctx, cancel := context.WithTimeout(context.Background(), c.every)
	defer cancel()
	if c.ws.Ping(ctx) == nil || ctx.Err() == nil { // answered, or never sent
		return false
	}
	gone := func() bool {
		now, pausing := c.meter.heard()
		return !pausing && now == bytes && before%2 == 1 && c.heard.Load() == before && c.writes.underway.Load() == 0
	}
	for left := c.spared(); left > 0 && gone(); left = c.spared() {
		if !c.pause(left) {
			return false
		}
	}
	return gone()
}

// pause waits, and reports whether the connection is still there.
func (c *wsConn) pause(d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-c.end.done:
		return false
	}
}
