package netconn

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"time"

	"github.com/hopseal/hopseal/e2e"
	"github.com/hopseal/hopseal/internal/streamconn"
)

// part is the largest message that a Conn makes, in bytes: with the lengths that
// a session adds it fills a bucket, and nothing is wasted on padding.
const part = 32<<10 - 192

// closeGrace is how long Close waits until everything has arrived.
const closeGrace = 3 * time.Second

// errWriteClosed is returned by Write behind CloseWrite.
var errWriteClosed = errors.New("e2e: write after CloseWrite")

// A Conn is a session as a [net.Conn]: a stream of bytes each way. Both ends of the session have to be used like
// this, and through nothing else.
//
// Each Write is one message, or several if it is larger than 32 KiB. An empty one sends
// nothing.
//
// Deadlines work as they do in TCP: a call that has timed out can be repeated, with no
// byte lost or repeated, and the session goes on. To that end a Write returns when its
// last message is handed to the session; what becomes of it shows in the next Write, or
// in Close. While a session has no connection, calls wait, as long as their deadlines
// and those of the session allow.
//
// Read returns [io.EOF] only where the other end has said, in a message that no hop can
// forge, that there is nothing more: by CloseWrite, or by closing the session with
// [e2e.CodeDone]. Every other end is a [*e2e.CloseError].
type Conn struct {
	*base
	session  *e2e.Session
	most     int // bytes of a message
	closing  sync.Once
	over     chan struct{} // closed when closeErr is set
	closeErr error

	writing  streamconn.Turn // whose holder owns what follows
	cutShort bool            // Close came within a Write, which has not sent all of its bytes
	flushing streamconn.Turn // is held while out is under way; whose holder owns what follows
	out      []byte
	writeErr error
}

// base reads, and keeps the deadlines.
type base = streamconn.Base

var _ net.Conn = (*Conn)(nil)

// New makes a [net.Conn] of a session and takes it over. It must be called once, and
// before Send and Receive.
func New(s *e2e.Session) *Conn {
	c := &Conn{
		session: s, most: min(part, s.Info().MaxMessage), over: make(chan struct{}),
		writing: streamconn.NewTurn(), flushing: streamconn.NewTurn(),
	}
	c.base = streamconn.New(c.next)
	return c
}

// next returns what the next Write of the other end sent, in one message.
func (c *Conn) next(buf []byte) ([]byte, error) {
	message, err := c.session.AppendReceive(context.Background(), buf)
	if err == nil && len(message) == 0 || errors.Is(err, io.EOF) {
		err = io.EOF // as such, since readers compare with it
	}
	return message, err
}

// Session returns the session below, for its Peer and Info.
func (c *Conn) Session() *e2e.Session { return c.session }

// Write is described at net.Conn.
func (c *Conn) Write(p []byte) (n int, err error) {
	by := c.WriteBy.Context()
	if err := c.Enter(c.writing, by); err != nil {
		return 0, err
	}
	defer c.writing.Leave()
	for n < len(p) {
		part := p[n:min(len(p), n+c.most)]
		if err := c.send(by, part, nil); err != nil {
			c.cutShort = c.cutShort || err == net.ErrClosed
			return n, err
		}
		n += len(part)
	}
	return n, nil
}

// send hands a message on as soon as the one before is under way. After a failure all
// later ones return that error, and otherwise then, if it is not nil.
func (c *Conn) send(by context.Context, message []byte, then error) error {
	if err := c.Enter(c.flushing, by); err != nil {
		return err
	}
	if c.writeErr != nil {
		defer c.flushing.Leave()
		return c.writeErr
	}
	c.out = append(c.out[:0], message...)
	go c.flush(then)
	return nil
}

func (c *Conn) flush(then error) {
	err := c.session.Send(context.Background(), c.out)
	if err == nil || then != nil && errors.Is(err, io.EOF) { // who wants no more need not hear that there is none
		err = then
	}
	c.writeErr = err
	c.flushing.Leave()
}

// CloseWrite tells the other end that nothing more will be written: behind what was, its
// Read returns [io.EOF]. Reading goes on. The deadline for writing applies.
func (c *Conn) CloseWrite() error {
	by := c.WriteBy.Context()
	if err := c.Enter(c.writing, by); err != nil {
		return err
	}
	defer c.writing.Leave()
	err := c.send(by, nil, errWriteClosed) // an empty message, which no Write makes
	if err == errWriteClosed {
		return nil // closed before
	}
	return err
}

// Close ends the session like [e2e.Session.Close]: it waits a few seconds at most until what
// was written has arrived at the other end's session, and the error says that it may not
// have. That is not to say that anybody has read it. What could not even be handed to the
// session by then is lost, like the rest of a Write that Close interrupts, and the session
// ends with [e2e.CodeFailed], so that the other end does not take what it has for all. Whoever
// calls Close again gets the same error.
func (c *Conn) Close() error {
	c.closing.Do(func() {
		close(c.Closed)
		go c.end()
	})
	<-c.over
	return c.closeErr
}

func (c *Conn) end() {
	defer close(c.over)
	ctx, cancel := context.WithTimeout(context.Background(), closeGrace)
	defer cancel()
	code, failed := c.handOver(ctx)
	if c.closeErr = c.session.CloseWith(ctx, code); failed != nil {
		c.closeErr = failed
	}
}

// handOver waits until what was written is handed to the session, and says with which code
// the session ends then.
func (c *Conn) handOver(ctx context.Context) (e2e.Code, error) {
	c.writing <- struct{}{} // a Write that is under way leaves at once
	defer c.writing.Leave()
	select {
	case c.flushing <- struct{}{}:
	case <-ctx.Done():
		return e2e.CodeFailed, os.ErrDeadlineExceeded
	}
	defer c.flushing.Leave()
	switch err := c.writeErr; {
	case err != nil && err != errWriteClosed:
		return e2e.CodeFailed, err
	case c.cutShort:
		return e2e.CodeFailed, nil
	}
	return e2e.CodeDone, nil
}

// LocalAddr and RemoteAddr return what is known about the connection below, or the last
// one. It says nothing about who the other end is: see [e2e.Session.Peer].
func (c *Conn) LocalAddr() net.Addr {
	info := c.session.Info().Transport
	return streamconn.Addr{Kind: info.Kind, Address: info.Local}
}

// RemoteAddr is described at LocalAddr.
func (c *Conn) RemoteAddr() net.Addr {
	info := c.session.Info().Transport
	return streamconn.Addr{Kind: info.Kind, Address: info.Remote}
}
