package keystore

import (
	"slices"
	"sync"

	"github.com/hopseal/hopseal/keys/keystore/internal/socket"
)

// controls is the state of a store that belongs to Serve and Run.
type controls struct {
	closing chan struct{} // closed by Close

	mu      sync.Mutex        // guards what follows
	ended   bool              // by Close
	serving *socket.Socket    // nil for none
	running []*RotationPolicy // of each Run that is under way
}

// closeSocket closes the socket, unless it is closed already and another one has replaced it.
func (c *controls) closeSocket(l *socket.Socket) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if l != nil && c.serving == l {
		l.Close()
		c.serving = nil
	}
}

// end closes the socket and makes Serve and Run return. Close calls it before it releases the lock, so
// that the next writer can listen.
func (c *controls) end() {
	c.mu.Lock()
	c.ended = true
	l := c.serving
	c.mu.Unlock()
	close(c.closing)
	c.closeSocket(l)
}

// addRun makes p the policy of requested rotations, until forget is called.
func (c *controls) addRun(p *RotationPolicy) (forget func()) {
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
