package e2e

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"sync"

	"github.com/hopseal/hopseal/internal/streamconn"
)

// netPart is the largest message that a NetConn makes, in bytes: with the lengths that
// a session adds it fills a bucket, and nothing is wasted on padding.
const netPart = 32<<10 - 192

// errWriteClosed is returned by Write behind CloseWrite.
var errWriteClosed = errors.New("e2e: write after CloseWrite")

// A NetConn is a session as a [net.Conn]: a stream of bytes each way, for HTTP, gRPC,
// yamux and whatever else wants one. Both ends of the session have to be used like
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
// [CodeDone]. Every other end is a [*CloseError].
type NetConn struct {
	*base
	session  *Session
	closing  sync.Once
	over     chan struct{} // closed when closeErr is set
	closeErr error

	writing  streamconn.Turn // whose holder owns what follows
	cutShort bool            // Close came within a Write, which has not sent all of its bytes
	flushing streamconn.Turn // is held while out is under way; whose holder owns what follows
	out      []byte
	writeErr error
}

// A base reads, and keeps the deadlines.
type base = streamconn.Base

var _ net.Conn = (*NetConn)(nil)

// NetConn makes a [net.Conn] of the session and takes it over. It must be called once,
// and before Send and Receive.
func (s *Session) NetConn() *NetConn {
	return &NetConn{
		base: streamconn.New(s.nextPart), session: s, over: make(chan struct{}),
		writing: streamconn.NewTurn(), flushing: streamconn.NewTurn(),
	}
}

// nextPart returns what the next Write of the other end sent, in one message.
func (s *Session) nextPart(buf []byte) ([]byte, error) {
	message, err := s.AppendReceive(context.Background(), buf)
	if err == nil && len(message) == 0 || errors.Is(err, io.EOF) {
		err = io.EOF // as such, since readers compare with it
	}
	return message, err
}

// Session returns the session below, for its Peer and Info.
func (c *NetConn) Session() *Session { return c.session }

// Write is described at net.Conn.
func (c *NetConn) Write(p []byte) (n int, err error) {
	by := c.WriteBy.Context()
	if err := c.Enter(c.writing, by); err != nil {
		return 0, err
	}
	defer c.writing.Leave()
	for n < len(p) {
		part := p[n:min(len(p), n+c.part())]
		if err := c.send(by, part, nil); err != nil {
			c.cutShort = c.cutShort || err == net.ErrClosed
			return n, err
		}
		n += len(part)
	}
	return n, nil
}

func (c *NetConn) part() int { return min(netPart, c.session.party.cfg.MaxMessage) }

// send hands a message on as soon as the one before is under way. After a failure all
// later ones return that error, and otherwise then, if it is not nil.
func (c *NetConn) send(by context.Context, message []byte, then error) error {
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

func (c *NetConn) flush(then error) {
	err := c.session.Send(context.Background(), c.out)
	if err == nil || then != nil && errors.Is(err, io.EOF) { // who wants no more need not hear that there is none
		err = then
	}
	c.writeErr = err
	c.flushing.Leave()
}

// CloseWrite tells the other end that nothing more will be written: behind what was, its
// Read returns [io.EOF]. Reading goes on. The deadline for writing applies.
func (c *NetConn) CloseWrite() error {
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

// Close ends the session like [Session.Close]: it waits a few seconds at most until what
// was written has arrived at the other end's session, and the error says that it may not
// have. That is not to say that anybody has read it. What could not even be handed to the
// session by then is lost, like the rest of a Write that Close interrupts, and the session
// ends with [CodeFailed], so that the other end does not take what it has for all. Whoever
// calls Close again gets the same error.
func (c *NetConn) Close() error {
	c.closing.Do(func() {
		close(c.Closed)
		go c.end()
	})
	<-c.over
	return c.closeErr
}

func (c *NetConn) end() {
	defer close(c.over)
	ctx, cancel := context.WithTimeout(context.Background(), closeGrace)
	defer cancel()
	code, failed := c.settle(ctx)
	if c.closeErr = c.session.finish(ctx, code); failed != nil {
		c.closeErr = failed
	}
}

// settle waits until what was written is handed to the session, and says with which code
// the session ends then.
func (c *NetConn) settle(ctx context.Context) (Code, error) {
	c.writing <- struct{}{} // a Write that is under way leaves at once
	defer c.writing.Leave()
	select {
	case c.flushing <- struct{}{}:
	case <-ctx.Done():
		return CodeFailed, os.ErrDeadlineExceeded
	}
	defer c.flushing.Leave()
	switch err := c.writeErr; {
	case err != nil && err != errWriteClosed:
		return CodeFailed, err
	case c.cutShort:
		return CodeFailed, nil
	}
	return CodeDone, nil
}

// LocalAddr and RemoteAddr return what is known about the connection below, or the last
// one. It says nothing about who the other end is: see [Session.Peer].
func (c *NetConn) LocalAddr() net.Addr {
	info := c.session.Info().Transport
	return streamconn.Addr{Kind: info.Kind, Address: info.Local}
}

// RemoteAddr is described at LocalAddr.
func (c *NetConn) RemoteAddr() net.Addr {
	info := c.session.Info().Transport
	return streamconn.Addr{Kind: info.Kind, Address: info.Remote}
}
