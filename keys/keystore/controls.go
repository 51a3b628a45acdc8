package keystore

import (
	"slices"
	"sync"

	"github.com/hopseal/hopseal/keys/keystore/internal/socket"
)

// controls is the part of a store that takes requests.
type controls struct {
	closing chan struct{} // closed by Close

	mu      sync.Mutex        // guards what follows
	ended   bool              // by Close
	serving *socket.Socket    // nil for none
	running []*RotationPolicy // of each Run that there is
}

// unlisten closes the socket, unless it is closed already and another one has its place.
func (c *controls) unlisten(l *socket.Socket) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if l != nil && c.serving == l {
		l.Close()
		c.serving = nil
	}
}

// end closes the socket and tells everybody that the store closes. Close calls it before it releases
// the lock, so that the next writer can listen.
func (c *controls) end() {
	c.mu.Lock()
	c.ended = true
	l := c.serving
	c.mu.Unlock()
	close(c.closing)
	c.unlisten(l)
}

// follow makes this the policy of requested rotations, until forget is called.
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

// policy returns the policy of the Run that began first, nil if none runs.
func (c *controls) policy() *RotationPolicy {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.running) == 0 {
		return nil
	}
	return c.running[0]
}
