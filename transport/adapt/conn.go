package adapt

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hopseal/hopseal/internal/safetext"
	"github.com/hopseal/hopseal/transport"
)

// closeGrace is how long a close waits for the peer's confirmation, or for a Write that
// is stuck, before it cuts the connection.
const closeGrace = 2 * time.Second

// shownCause bounds the text of a foreign error, in characters.
const shownCause = 200

// Options configures an adapter. Nil means the zero value.
type Options struct {
	// MaxMessage is the largest message that Read accepts, in bytes. Zero means
	// transport.DefaultMaxMessage.
	MaxMessage int

	// Info is what the connection's Info returns, for a caller who knows more than
	// the connection below can tell. An empty Kind becomes "ws" for a WebSocket, and
	// the name of the network, such as "tcp", for a net.Conn. Empty addresses become
	// those of the connection below.
	Info transport.Info

	// Plain leaves out the close message of length-prefixed messages, see the
	// package's documentation. A stream that ends between two messages then ends in
	// order. Only FromNetConn uses it.
	Plain bool
}

// withDefaults returns a copy of o, completed with defaults and with what the connection
// below says about itself.
func (o *Options) withDefaults(kind string, local, remote net.Addr) Options {
	if o == nil {
		o = &Options{}
	}
	out := *o
	if out.MaxMessage <= 0 {
		out.MaxMessage = transport.DefaultMaxMessage
	}
	fill(&out.Info.Kind, kind)
	fill(&out.Info.Local, text(local))
	fill(&out.Info.Remote, text(remote))
	return out
}

func fill(field *string, value string) {
	if *field == "" {
		*field = value
	}
}

func text(a net.Addr) string {
	if a == nil {
		return ""
	}
	return a.String()
}

// A link is what a conn needs of the connection below. At most one goroutine reads and
// one writes at a time. Any goroutine may call cut, which unblocks both.
type link interface {
	// read appends one message of at most limit bytes to dst. It returns a
	// *transport.CloseError if the peer sent a close message or one that is refused.
	// After a refusal the next read begins with the next message.
	read(dst []byte, limit int) ([]byte, error)
	write(msg []byte) error

	// sayClose sends a close message with this body.
	sayClose(body []byte) error
	cut()
}

// A conn is a transport.Conn over a link.
type conn struct {
	link  link
	info  transport.Info
	limit int          // the most bytes in a message, from the options
	max   atomic.Int64 // the most bytes in a message that Read returns, at most limit

	reading, writing chan struct{} // hold a token while a goroutine reads, or writes
	goodbye          bool          // the peer has sent its close message; only the reader uses it

	once sync.Once
	done chan struct{} // closed when err is set
	err  *transport.CloseError
}

var _ transport.Conn = (*conn)(nil)

func newConn(l link, opts Options) *conn {
	c := &conn{
		link: l, info: opts.Info, limit: opts.MaxMessage,
		reading: make(chan struct{}, 1), writing: make(chan struct{}, 1), done: make(chan struct{}),
	}
	c.max.Store(int64(c.limit))
	return c
}

// SetMaxMessage limits messages to n bytes from the next Read on, or to the MaxMessage
// of the options if that is less.
func (c *conn) SetMaxMessage(n int) { c.max.Store(int64(max(0, min(n, c.limit)))) }

// Info is described at [transport.Conn].
func (c *conn) Info() transport.Info { return c.info }

// Read is described at [transport.Conn].
func (c *conn) Read(ctx context.Context, dst []byte) ([]byte, error) {
	release := c.guard(ctx)
	msg, err := c.readTurn(dst)
	release()
	if err != nil {
		return dst, c.fail(err)
	}
	if c.over() { // we closed, or the context ended
		return dst, c.err
	}
	return msg, nil
}

func (c *conn) readTurn(dst []byte) ([]byte, error) {
	select {
	case c.reading <- struct{}{}:
	case <-c.done:
		return nil, c.err
	}
	defer func() { <-c.reading }()
	if c.over() {
		return nil, c.err
	}
	return c.next(dst, int(c.max.Load()))
}

// next reads a message. The caller holds the token of reading.
func (c *conn) next(dst []byte, limit int) ([]byte, error) {
	msg, err := c.link.read(dst, limit)
	var closed *transport.CloseError
	c.goodbye = errors.As(err, &closed) && closed.Remote
	return msg, err
}

// Write is described at [transport.Conn].
func (c *conn) Write(ctx context.Context, msg []byte) error {
	release := c.guard(ctx)
	err := c.writeTurn(msg)
	release()
	if err != nil {
		return c.fail(err)
	}
	return nil
}

func (c *conn) writeTurn(msg []byte) error {
	select {
	case c.writing <- struct{}{}:
	case <-c.done:
		return c.err
	}
	defer func() { <-c.writing }()
	if c.over() {
		return c.err
	}
	return c.link.write(msg)
}

// guard ends the connection if ctx ends before release is called.
func (c *conn) guard(ctx context.Context) (release func()) {
	if ctx.Done() == nil {
		return func() {}
	}
	stop := context.AfterFunc(ctx, func() {
		c.finish(&transport.CloseError{Code: transport.CodeAbnormal, Err: ctx.Err()})
	})
	return func() {
		if !stop() {
			<-c.done
		}
	}
}

// Close is described at [transport.Conn].
func (c *conn) Close(code transport.Code, reason string) error {
	body := transport.AppendClose(nil, code, reason)
	said, _ := transport.ParseClose(body)
	said.Remote = false
	return c.finish(said)
}

func (c *conn) over() bool {
	select {
	case <-c.done:
		return true
	default:
		return false
	}
}

// fail ends the connection because of err, unless it has ended already, and returns why
// it ended.
func (c *conn) fail(err error) error {
	c.finish(diagnose(err))
	<-c.done
	return c.err
}

// finish ends the connection. If the connection broke or a context ended, finish cuts
// it; otherwise both ends send close messages.
func (c *conn) finish(why *transport.CloseError) error {
	first := false
	c.once.Do(func() {
		c.err, first = why, true
		close(c.done)
	})
	if !first {
		return nil
	}
	defer c.link.cut()
	if why.Code == transport.CodeAbnormal {
		return nil
	}
	grace := time.AfterFunc(closeGrace, c.link.cut)
	defer grace.Stop()
	said := make(chan error, 1)
	go func() { said <- c.say(why) }() // in parallel: the peer may be closing too, and wait until we read
	if !why.Remote && !c.confirmed() {
		c.link.cut()
		<-said
		return errors.New("transport: the peer did not confirm the close")
	}
	<-said
	return nil
}

// say sends our close message, once no other goroutine writes. If one is stuck, cutting the
// link frees it.
func (c *conn) say(why *transport.CloseError) error {
	c.writing <- struct{}{}
	defer func() { <-c.writing }()
	switch {
	case why.Remote && why.Code == transport.CodeNoStatus:
		return c.link.sayClose(nil)
	case why.Remote: // a confirmation repeats no reason
		return c.link.sayClose(transport.AppendClose(nil, why.Code, ""))
	}
	return c.link.sayClose(transport.AppendClose(nil, why.Code, why.Reason))
}

// confirmed reads until the peer's close message comes, and reports whether it comes.
func (c *conn) confirmed() bool {
	c.reading <- struct{}{}
	defer func() { <-c.reading }()
	var scratch []byte
	for !c.goodbye {
		msg, err := c.next(scratch[:0], c.limit)
		var refused *transport.CloseError
		if err != nil && !errors.As(err, &refused) {
			return false
		}
		scratch = msg
	}
	return true
}

// diagnose turns an error of a link into a CloseError, which says who ended the connection.
func diagnose(err error) *transport.CloseError {
	var closed *transport.CloseError
	var network net.Error
	switch {
	case errors.As(err, &closed):
		return closed
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, net.ErrClosed):
		return lost(nil)
	case errors.As(err, &network):
		return lost(network)
	}
	return lost(errors.New(safetext.Line(err.Error(), shownCause))) // it may quote the peer
}

func lost(cause error) *transport.CloseError {
	return &transport.CloseError{Code: transport.CodeAbnormal, Remote: true, Err: cause}
}

var errText = errors.New("the peer sent a text message, only binary is accepted")

func tooLarge() error {
	return &transport.CloseError{Code: transport.CodeTooLarge, Err: transport.ErrTooLarge}
}
