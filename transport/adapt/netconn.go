package adapt

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"time"

	"github.com/hopseal/hopseal/internal/streamconn"
	"github.com/hopseal/hopseal/transport"
)

// maxPart is the largest message that NetConn makes, in bytes: one that everybody
// takes, whatever limit they have set.
const maxPart = 32 << 10

// NetConn makes a net.Conn of a connection, which it takes over. Each Write is one
// message, or several if it is larger than 32 KiB, and a Read returns bytes of one
// message; an empty Write sends nothing. The other end needs the same, or takes the
// messages as they are.
//
// Deadlines work as they do in TCP: a call that has timed out can be repeated, with
// no byte lost or repeated. To that end a Write returns when its last message is
// under way, and what becomes of it shows in the next one; Close waits a moment for
// it. An orderly end of the connection is io.EOF, every other error is that of the
// connection, a [*transport.CloseError].
func NetConn(c transport.Conn) net.Conn { return newNetConn(c, &bytesFraming{}) }

// LengthPrefixed makes a net.Conn that speaks length-prefixed messages: what is
// written to it has to be four bytes of length, the largest first, and so many bytes,
// and goes out as one message once it is complete; what it reads comes in the same
// form. There are no close messages in it, see [Options.Plain]. Everything else is
// as with [NetConn]. A message of more than [transport.DefaultMaxMessage] bytes makes
// Write fail.
//
// It connects programs that speak such a protocol over TCP, by copying both ways:
//
//	go io.Copy(tcp, frames)
//	io.Copy(frames, tcp)
func LengthPrefixed(c transport.Conn) net.Conn { return newNetConn(c, &prefixFraming{}) }

// A framing lies between a stream of bytes and messages.
type framing interface {
	// cut takes the beginning of b and returns a message as soon as there is one.
	// It keeps what it needs.
	cut(b []byte) (message []byte, taken int, err error)

	// room is how many bytes stand before a message that was read, and head
	// writes them.
	room() int
	head(b []byte)
}

type bytesFraming struct{}

func (bytesFraming) cut(b []byte) ([]byte, int, error) {
	n := min(len(b), maxPart)
	return b[:n], n, nil
}
func (bytesFraming) room() int   { return 0 }
func (bytesFraming) head([]byte) {}

// prefixFraming keeps a message that is not complete yet.
type prefixFraming struct{ part []byte }

var errAnnounced = errors.New("adapt: the length of a message is above the limit")

func (f *prefixFraming) cut(b []byte) ([]byte, int, error) {
	need, taken := prefixSize-len(f.part), 0
	if need > 0 {
		taken = min(need, len(b))
		f.part = append(f.part, b[:taken]...)
		if len(f.part) < prefixSize {
			return nil, taken, nil
		}
	}
	size := binary.BigEndian.Uint32(f.part)
	if size > transport.DefaultMaxMessage {
		return nil, taken, errAnnounced
	}
	n := min(prefixSize+int(size)-len(f.part), len(b)-taken)
	f.part = append(f.part, b[taken:taken+n]...)
	taken += n
	if len(f.part) < prefixSize+int(size) {
		return nil, taken, nil
	}
	message := f.part[prefixSize:]
	f.part = f.part[:0]
	return message, taken, nil
}
func (f *prefixFraming) room() int { return prefixSize }
func (f *prefixFraming) head(b []byte) {
	binary.BigEndian.PutUint32(b, uint32(len(b)-prefixSize))
}

type netConn struct {
	*streamconn.Base
	conn    transport.Conn
	framing framing
	closing sync.Once

	writing  streamconn.Turn
	flushing streamconn.Turn // is held while out is under way; whose holder owns what follows
	out      []byte
	writeErr error
}

func newNetConn(c transport.Conn, f framing) *netConn {
	n := &netConn{conn: c, framing: f, writing: streamconn.NewTurn(), flushing: streamconn.NewTurn()}
	n.Base = streamconn.New(n.next)
	return n
}

func (c *netConn) next(buf []byte) ([]byte, error) {
	msg, err := c.conn.Read(context.Background(), append(buf, make([]byte, c.framing.room())...))
	if err != nil {
		return nil, ended(err)
	}
	c.framing.head(msg)
	return msg, nil
}

// ended makes an orderly end the error that readers compare with.
func ended(err error) error {
	if errors.Is(err, io.EOF) {
		return io.EOF
	}
	return err
}

// Write is described at net.Conn.
func (c *netConn) Write(p []byte) (n int, err error) {
	by := c.WriteBy.Context()
	if err := c.Enter(c.writing, by); err != nil {
		return 0, err
	}
	defer c.writing.Leave()
	for n < len(p) {
		if err := c.Enter(c.flushing, by); err != nil {
			return n, err
		}
		if c.writeErr != nil {
			c.flushing.Leave()
			return n, c.writeErr
		}
		msg, taken, err := c.framing.cut(p[n:])
		n += taken
		if err != nil || msg == nil {
			c.writeErr = err
			c.flushing.Leave()
			continue
		}
		c.out = append(c.out[:0], msg...)
		go c.flush()
	}
	return n, nil
}

func (c *netConn) flush() {
	c.writeErr = c.conn.Write(context.Background(), c.out)
	c.flushing.Leave()
}

// Close is described at net.Conn. It returns an error if what was written last could
// not be sent.
func (c *netConn) Close() (err error) {
	c.closing.Do(func() {
		close(c.Closed)
		late := time.NewTimer(closeGrace)
		defer late.Stop()
		select {
		case c.flushing <- struct{}{}:
			err = c.writeErr
			c.flushing.Leave()
		case <-late.C:
			err = os.ErrDeadlineExceeded
		}
		c.conn.Close(transport.CodeNormal, "")
	})
	return err
}

func (c *netConn) LocalAddr() net.Addr {
	info := c.conn.Info()
	return streamconn.Addr{Kind: info.Kind, Address: info.Local}
}

func (c *netConn) RemoteAddr() net.Addr {
	info := c.conn.Info()
	return streamconn.Addr{Kind: info.Kind, Address: info.Remote}
}
