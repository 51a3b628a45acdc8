package transport

import (
	"bytes"
	"context"
	"sync"
)

// defaultPipeBuffer is how many messages each direction of a [Pipe] holds before Write waits.
const defaultPipeBuffer = 16

// A Fault plays a hostile or broken hop in one direction of a [Pipe]. It gets each message and
// returns what arrives instead, in order. Returning nothing drops the message, and returning others
// injects them; a Fault that keeps messages for later calls delays and reorders. It owns the
// messages that it gets. Calls do not overlap.
type Fault func(msg []byte) [][]byte

// A PipeOption changes a [Pipe].
type PipeOption func(*pipeConfig)

type pipeConfig struct {
	buffer     int
	maxMessage int
	faults     [2]Fault // on messages of the first end, and of the second
}

// WithBuffer makes each direction of a pipe hold n messages, at least one, before Write waits. The
// default is 16.
func WithBuffer(n int) PipeOption { return func(c *pipeConfig) { c.buffer = max(n, 1) } }

// WithMaxMessage limits the messages that both ends accept to n bytes. The default is
// [DefaultMaxMessage].
func WithMaxMessage(n int) PipeOption { return func(c *pipeConfig) { c.maxMessage = n } }

// WithFaults puts a hop between the ends: fromFirst gets what the first end writes, fromSecond what
// the second end writes. Either may be nil.
func WithFaults(fromFirst, fromSecond Fault) PipeOption {
	return func(c *pipeConfig) { c.faults = [2]Fault{fromFirst, fromSecond} }
}

// Pipe returns the two ends of a connection in memory, for tests and for ends in one process. It
// keeps the promises of a real link, closing included, starts no goroutine and works inside
// testing/synctest.
func Pipe(opts ...PipeOption) (first, second *PipeConn) {
	cfg := pipeConfig{buffer: defaultPipeBuffer, maxMessage: DefaultMaxMessage}
	for _, opt := range opts {
		opt(&cfg)
	}
	there, back := make(chan []byte, cfg.buffer), make(chan []byte, cfg.buffer)
	first = &PipeConn{in: back, out: there, fault: cfg.faults[0], limit: cfg.maxMessage, end: newEnding()}
	second = &PipeConn{in: there, out: back, fault: cfg.faults[1], limit: cfg.maxMessage, end: newEnding()}
	first.peer, second.peer = second, first
	return first, second
}

// A PipeConn is one end of a [Pipe].
type PipeConn struct {
	in    <-chan []byte
	out   chan<- []byte
	limit int
	peer  *PipeConn
	end   *ending // how this end sees the connection's end

	faultMu sync.Mutex
	fault   Fault // guarded by faultMu; nil for a faithful link
}

var _ Conn = (*PipeConn)(nil)

// Read is described at [Conn].
func (c *PipeConn) Read(ctx context.Context, dst []byte) ([]byte, error) {
	if c.end.over() {
		return c.drain(dst)
	}
	select {
	case msg := <-c.in:
		return c.deliver(dst, msg)
	case <-c.end.done:
		return c.drain(dst)
	case <-ctx.Done():
		c.finish(gaveUp(ctx.Err()), lost(nil))
		return dst, c.end.reason()
	}
}

// drain returns the messages that the peer sent before it closed, and then the reason.
func (c *PipeConn) drain(dst []byte) ([]byte, error) {
	if c.end.err.Remote {
		select {
		case msg := <-c.in:
			return c.deliver(dst, msg)
		default:
		}
	}
	return dst, c.end.reason()
}

func (c *PipeConn) deliver(dst, msg []byte) ([]byte, error) {
	if len(msg) > c.limit {
		c.finish(&CloseError{Code: CodeTooLarge, Err: ErrTooLarge},
			&CloseError{Code: CodeTooLarge, Remote: true})
		return dst, c.end.reason()
	}
	return append(dst, msg...), nil
}

// Write is described at [Conn].
func (c *PipeConn) Write(ctx context.Context, msg []byte) error {
	if c.end.over() {
		return c.end.reason()
	}
	for _, m := range c.applyFault(bytes.Clone(msg)) {
		select {
		case c.out <- m:
		case <-c.end.done:
			return c.end.reason()
		case <-ctx.Done():
			c.finish(gaveUp(ctx.Err()), lost(nil))
			return c.end.reason()
		}
	}
	return nil
}

// applyFault returns what the hop makes of msg.
func (c *PipeConn) applyFault(msg []byte) [][]byte {
	if c.fault == nil {
		return [][]byte{msg}
	}
	c.faultMu.Lock()
	defer c.faultMu.Unlock()
	return c.fault(msg)
}

// Close is described at [Conn]. It always returns nil.
func (c *PipeConn) Close(code Code, reason string) error {
	code, reason = sendable(code, reason)
	c.finish(&CloseError{Code: code, Reason: reason}, PeerClosed(code, reason))
	return nil
}

// Cut breaks the link: both ends find it lost, and messages under way are lost too.
func (c *PipeConn) Cut() {
	c.finish(lost(nil), lost(nil))
	discard(c.in)
	discard(c.peer.in)
}

func discard(msgs <-chan []byte) {
	for {
		select {
		case <-msgs:
		default:
			return
		}
	}
}

// finish ends the connection with one error for this end and one for the other.
func (c *PipeConn) finish(here, there *CloseError) {
	c.end.set(here)
	c.peer.end.set(there)
}

// Info returns an Info of kind "pipe".
func (c *PipeConn) Info() Info { return Info{Kind: "pipe"} }
