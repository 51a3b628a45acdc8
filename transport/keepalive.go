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

// beat pings the peer and ends the connection if the peer is gone. A pong only
// shows while somebody reads, so its absence proves nothing by itself: the peer
// is gone if one Read waited all the time and got neither pong nor message.
func (c *wsConn) beat() {
	if c.end.over() {
		return
	}
	before := c.reads.Load()
	ctx, cancel := context.WithTimeout(context.Background(), c.every)
	defer cancel()
	if c.ws.Ping(ctx) != nil && before%2 == 1 && c.reads.Load() == before {
		c.finish(lost(errSilent))
		return
	}
	c.pulse.Reset(c.every)
}
