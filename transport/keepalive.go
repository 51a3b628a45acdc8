//go:build !js

package transport

import (
	"context"
	"math"
	"time"
)

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
	if c.writing.Load() > 0 {
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
	return before%2 == 1 && c.heard.Load() == before && c.writing.Load() == 0
}
