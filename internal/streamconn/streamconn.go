// Package streamconn has what every net.Conn over messages does alike: it reads whole
// messages as a stream of bytes, takes turns, and has deadlines that can be moved.
package streamconn

import (
	"context"
	"net"
	"os"
	"time"

	"github.com/hopseal/hopseal/internal/deadline"
)

// A Base is the part of a net.Conn that does not depend on what is below. It is safe
// for concurrent use.
type Base struct {
	Closed  chan struct{} // closed by Close
	WriteBy deadline.Deadline

	readBy    deadline.Deadline
	reading   Turn // whose holder owns what follows
	next      func(buf []byte) ([]byte, error)
	fetching  bool
	fetched   chan error // the result of fetch, which owns buf until then
	buf, rest []byte
	readErr   error
}

// New returns a Base that gets its messages from next. That appends one to buf, which may be
// empty but has room after the first; an error ends reading for good.
func New(next func(buf []byte) ([]byte, error)) *Base {
	return &Base{Closed: make(chan struct{}), next: next, reading: NewTurn(), fetched: make(chan error, 1)}
}

// A Turn is held by one at a time.
type Turn chan struct{}

// NewTurn returns a Turn that nobody holds.
func NewTurn() Turn { return make(Turn, 1) }

// Leave gives the turn back.
func (t Turn) Leave() { <-t }

// Enter takes a turn, unless the deadline is over or the connection closed.
func (b *Base) Enter(turn Turn, by context.Context) error {
	select { // first, since a turn may be free
	case <-b.Closed:
		return net.ErrClosed
	case <-by.Done():
		return os.ErrDeadlineExceeded
	default:
	}
	select {
	case turn <- struct{}{}:
		return nil
	case <-b.Closed:
		return net.ErrClosed
	case <-by.Done():
		return os.ErrDeadlineExceeded
	}
}

// Read is described at net.Conn.
func (b *Base) Read(p []byte) (int, error) {
	by := b.readBy.Context()
	if err := b.Enter(b.reading, by); err != nil {
		return 0, err
	}
	defer b.reading.Leave()
	if len(p) == 0 {
		return 0, nil
	}
	for len(b.rest) == 0 {
		if err := b.more(by); err != nil {
			return 0, err
		}
	}
	n := copy(p, b.rest)
	b.rest = b.rest[n:]
	return n, nil
}

// more waits for a message. One that comes too late is there for the next Read.
func (b *Base) more(by context.Context) error {
	if b.readErr != nil {
		return b.readErr
	}
	if !b.fetching {
		b.fetching = true
		go b.fetch()
	}
	select {
	case b.readErr = <-b.fetched:
		b.fetching = false
		b.rest = b.buf
		return b.readErr
	case <-b.Closed:
		return net.ErrClosed
	case <-by.Done():
		return os.ErrDeadlineExceeded
	}
}

func (b *Base) fetch() {
	message, err := b.next(b.buf[:0])
	if b.buf = message; err != nil {
		b.buf = nil
	}
	b.fetched <- err
}

// SetDeadline is described at net.Conn.
func (b *Base) SetDeadline(t time.Time) error {
	b.readBy.Set(t)
	b.WriteBy.Set(t)
	return nil
}

// SetReadDeadline is described at net.Conn.
func (b *Base) SetReadDeadline(t time.Time) error {
	b.readBy.Set(t)
	return nil
}

// SetWriteDeadline is described at net.Conn.
func (b *Base) SetWriteDeadline(t time.Time) error {
	b.WriteBy.Set(t)
	return nil
}

// An Addr is an address as a transport.Info has it.
type Addr struct{ Kind, Address string }

// Network is described at net.Addr.
func (a Addr) Network() string { return a.Kind }

// String is described at net.Addr.
func (a Addr) String() string { return a.Address }
