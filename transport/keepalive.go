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
	if now, pausing := c.meter.heard(); pausing || now != bytes {
		return false
	}
	return before%2 == 1 && c.heard.Load() == before && c.writes.underway.Load() == 0
}
