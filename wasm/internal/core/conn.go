package core

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"sync"
	"time"

	"github.com/hopseal/hopseal/transport"
)

// Limits of a connection, as in package transport's own for pages.
const (
	maxUnsent    = 1 << 20 // bytes that JavaScript has not handed on yet, before Write waits
	frameCost    = 64      // bytes that a message costs in the queue beside its own
	queuedFrames = 8       // times the largest message, in the queue of who may be a stranger still
	ofStrangers  = 4       // messages, at most
	closeGrace   = 5 * time.Second
)

var (
	errOverrun    = errors.New("messages came in faster than they were read")
	errNotClosed  = errors.New("the peer did not confirm the close")
	errConnClosed = &Error{Code: "closed", Message: "the connection has ended"}
)

// A conn is a transport.Conn whose socket JavaScript owns. Messages to send and the close are
// notices; what comes in is operations.
type conn struct {
	office *office
	id     uint32
	info   transport.Info
	limit  int // bytes in a message, at most
	most   int // bytes in queue, at most: a page cannot make a sender wait, and so much may be under way

	ended  chan struct{} // closed once err is set
	gone   chan struct{} // closed once JavaScript has said that the socket is closed
	change chan struct{} // holds a token when queue or unsent have changed

	mu     sync.Mutex
	err    *transport.CloseError
	isGone bool
	queue  [][]byte
	queued int // what queue costs, in bytes
	reads  int // messages that were read
	max    int // bytes in a message that Read returns, at most limit
	unsent int // bytes in notices and in the socket's buffer
	room   chan struct{}
}

var _ transport.Conn = (*conn)(nil)

func newConn(o *office, info transport.Info, limit, most int) *conn {
	return &conn{office: o, info: info, limit: limit, most: most, max: limit, ended: make(chan struct{}), gone: make(chan struct{}),
		change: make(chan struct{}, 1), room: make(chan struct{}, 1)}
}

// end sets why the connection ended, once. It reports whether this call did.
func (c *conn) end(why *transport.CloseError) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		return false
	}
	c.err = why
	close(c.ended)
	return true
}

// finish ends the connection from this side and tells JavaScript.
func (c *conn) finish(why *transport.CloseError) bool {
	if !c.end(why) {
		return false
	}
	c.office.tell(noticeClose, c.id, appendText(appendUint32(nil, uint32(why.Code)), why.Reason))
	return true
}

func poke(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// receive takes a message that has come in. It does not wait.
func (c *conn) receive(msg []byte) {
	if len(msg) > c.limit {
		c.finish(errLarge)
		return
	}
	c.mu.Lock()
	cost, most := len(msg)+frameCost, c.most
	if c.reads < ofStrangers {
		most = queuedFrames * c.limit
	}
	full := c.queued+cost > most
	if !full && c.err == nil {
		c.queue, c.queued = append(c.queue, msg), c.queued+cost
	}
	c.mu.Unlock()
	if full {
		c.finish(&transport.CloseError{Code: transport.CodePolicy, Err: errOverrun})
		return
	}
	poke(c.change)
}

// next returns a message that has come in, if there is one, and why the connection ended once there
// will be none.
func (c *conn) next() (msg []byte, ok bool, err error) {
	c.mu.Lock()
	waiting := len(c.queue) > 0 && (c.err == nil || c.err.Remote)
	if waiting {
		msg, c.queue = c.queue[0], c.queue[1:]
		c.queued, c.reads = c.queued-len(msg)-frameCost, c.reads+1
	}
	ended, tooLarge := c.err, len(msg) > c.max
	c.mu.Unlock()
	switch {
	case tooLarge:
		c.finish(errLarge)
		return nil, false, c.reason()
	case waiting:
		return msg, true, nil
	case ended != nil:
		return nil, false, ended
	}
	return nil, false, nil
}

var errLarge = &transport.CloseError{Code: transport.CodeTooLarge, Err: transport.ErrTooLarge}

func (c *conn) reason() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

// SetMaxMessage limits messages to n bytes from the next Read on, or to limit if that is less.
func (c *conn) SetMaxMessage(n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.max = min(n, c.limit)
}

// Read is described at [transport.Conn].
func (c *conn) Read(ctx context.Context, dst []byte) ([]byte, error) {
	for {
		if msg, ok, err := c.next(); ok || err != nil {
			return append(dst, msg...), err
		}
		select {
		case <-c.change:
		case <-c.ended:
		case <-ctx.Done():
			c.finish(&transport.CloseError{Code: transport.CodeAbnormal, Err: ctx.Err()})
		}
	}
}

// Write is described at [transport.Conn].
func (c *conn) Write(ctx context.Context, msg []byte) error {
	for {
		wait, err := c.reserve(len(msg))
		if err != nil {
			return err
		}
		if !wait {
			c.office.tell(noticeFrame, c.id, bytes.Clone(msg))
			return nil
		}
		select {
		case <-c.room:
		case <-c.ended:
		case <-ctx.Done():
			c.finish(&transport.CloseError{Code: transport.CodeAbnormal, Err: ctx.Err()})
		}
	}
}

func (c *conn) reserve(n int) (wait bool, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		return false, c.err
	}
	if c.unsent > maxUnsent {
		return true, nil
	}
	c.unsent += n
	if c.unsent <= maxUnsent {
		poke(c.room) // for another Write that waits
	}
	return false, nil
}

// sent takes back n bytes that the socket has sent.
func (c *conn) sent(n int) {
	c.mu.Lock()
	c.unsent = max(c.unsent-n, 0)
	c.mu.Unlock()
	poke(c.room)
}

// closed takes in that the socket is closed.
func (c *conn) closed(code transport.Code, reason string) {
	c.end(transport.PeerClosed(code, reason))
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.isGone {
		c.isGone = true
		close(c.gone)
	}
}

// Close is described at [transport.Conn].
func (c *conn) Close(code transport.Code, reason string) error {
	body := transport.AppendClose(nil, code, reason) // which changes what may not be sent
	why := &transport.CloseError{Code: transport.Code(binary.BigEndian.Uint16(body)), Reason: string(body[2:])}
	if !c.finish(why) {
		return nil
	}
	grace := time.NewTimer(closeGrace)
	defer grace.Stop()
	select {
	case <-c.gone:
		return nil
	case <-grace.C:
		return errNotClosed
	}
}

// Info is described at [transport.Conn].
func (c *conn) Info() transport.Info { return c.info }

// connOpen: kind text, remote text, largest message number, most bytes that may wait to be read number →
// connection handle. JavaScript opens a
// connection here once its socket is open, and releases the handle once it has said connClosed.
func (c *Core) connOpen(r *request, out []byte) ([]byte, error) {
	info := transport.Info{Kind: r.text(), Remote: r.text()}
	info.Client = info.Remote
	limit, most := int(r.uint32()), int(r.uint32())
	if err := r.done(); err != nil {
		return nil, err
	}
	made := newConn(&c.office, info, limit, most)
	var err error
	if made.id, err = c.objects.add(made); err != nil {
		return nil, err
	}
	return appendUint32(out, made.id), nil
}

// connReceived: connection handle, message bytes → nothing.
func (c *Core) connReceived(r *request, out []byte) ([]byte, error) {
	to, msg := object[*conn](r), bytes.Clone(r.bytes())
	if err := r.done(); err != nil {
		return nil, err
	}
	if to == nil {
		return nil, errConnClosed
	}
	to.receive(msg)
	return out, nil
}

// connSent: connection handle, bytes number → nothing. The socket no longer holds so many bytes.
func (c *Core) connSent(r *request, out []byte) ([]byte, error) {
	to, n := required[*conn](r), r.uint32()
	if err := r.done(); err != nil {
		return nil, err
	}
	to.sent(int(n))
	return out, nil
}

// connClosed: connection handle, code number, reason text → nothing. The socket is closed. The handle
// is gone with it.
func (c *Core) connClosed(r *request, out []byte) ([]byte, error) {
	of := taken[*conn](r)
	code, reason := r.uint32(), r.text()
	if err := r.done(); err != nil {
		return nil, err
	}
	of.closed(transport.Code(code), reason)
	return out, nil
}
