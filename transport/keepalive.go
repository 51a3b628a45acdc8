//go:build !js

package transport

import (
	"context"
	"math"
	"sync/atomic"
	"time"
)

// pongPatience is how long a ping waits for a message that is being written before the pong is left
// out. The WebSocket library cuts a connection on which a pong takes 5 seconds.
const pongPatience = 2 * time.Second

// writes tracks the Writes of a connection.
type writes struct {
	underway atomic.Int64
	ended    chan struct{} // holds a token when a Write has ended
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

// mayPong reports whether to answer a ping. It says no if the pong would have to wait behind a
// message that a slow peer takes long to read: the bytes of that message show the peer just as well
// that this end is there.
func (w *writes) mayPong(ctx context.Context, _ []byte) bool {
	select {
	case <-w.ended: // an old token
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

// startPings begins to ping the peer every c.every, if that is positive.
func (c *wsConn) startPings() {
	c.pingTimer = time.AfterFunc(math.MaxInt64, c.onPingTimer)
	if c.every > 0 {
		c.pingTimer.Reset(c.every)
	} else {
		c.pingTimer.Stop()
	}
}

// onPingTimer pings the peer and ends the connection if the peer is gone.
func (c *wsConn) onPingTimer() {
	if c.end.over() {
		return
	}
	if c.peerGone() {
		c.finish(lost(errSilent))
		return
	}
	c.pingTimer.Reset(c.every)
}

// Watch registers a layer above that hears from the peer by other means: heard returns when it last
// did. A ping can be stuck behind data that is already in buffers on the way. What the layer above
// hears about that data proves as well that the peer is there. Call Watch before the first Read.
func (c *wsConn) Watch(heard func() time.Time) { c.above.Store(&heard) }

// graceLeft returns how long the peer may still be silent, because of what the layer above has
// heard: twice the time between pings since then. That is how long it takes to detect a peer that
// was silent from the start.
func (c *wsConn) graceLeft() time.Duration {
	if heard := c.above.Load(); heard != nil {
		return 2*c.every - time.Since((*heard)())
	}
	return 0
}

// peerGone pings the peer and reports whether the peer is gone. A pong shows only while somebody
// reads, and only between the frames of messages, so a missing pong proves nothing by itself. The
// peer is gone if one Read waited for the pong all the time and got nothing at all. A ping waits
// behind our own frames too, so it proves nothing while a Write is under way; proxies need no ping
// then either. The same holds while a Gate delays reading.
func (c *wsConn) peerGone() bool {
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
	for left := c.graceLeft(); left > 0 && gone(); left = c.graceLeft() {
		if !c.pause(left) {
			return false
		}
	}
	return gone()
}

// pause waits, and reports whether the connection is still open.
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
