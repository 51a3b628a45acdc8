package keystore

import (
	"slices"
	"sync"

	"github.com/hopseal/hopseal/keys/keystore/internal/socket"
)

// controls is what a store has for taking requests.
type controls struct {
	closing chan struct{} // closed by Close

	mu      sync.Mutex        // guards what follows
	ended   bool              // by Close
	serving *socket.Socket    // nil for none
	running []*RotationPolicy // of each Run that there is
}

// unlisten takes the socket away, unless that was done and another one is there.
func (c *controls) unlisten(l *socket.Socket) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if l != nil && c.serving == l {
		l.Close()
		c.serving = nil
	}
}

// end is for Close, before it lets the next writer in.
func (c *controls) end() {
	c.mu.Lock()
	c.ended = true
	l := c.serving
	c.mu.Unlock()
	close(c.closing)
	c.unlisten(l)
}

// follow has rotations that are asked for be made by that policy, until forget is called.
func (c *controls) follow(p *RotationPolicy) (forget func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.running = append(c.running, p)
	return func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.running = slices.DeleteFunc(c.running, func(q *RotationPolicy) bool { return q == p })
	}
}

// policy returns that of the Run that began first, or nil.
func (c *controls) policy() *RotationPolicy {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.running) == 0 {
		return nil
	}
	return c.running[0]
}
