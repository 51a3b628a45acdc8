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

// maxPart is the largest message that NetConn sends, in bytes: small enough for any usual
// limit of a peer.
const maxPart = 32 << 10

// NetConn returns a net.Conn over c and takes c over. Each Write sends one message, or
// several if it has more than 32 KiB; an empty Write sends nothing. A Read returns bytes
// of one message. The other end uses NetConn too, or handles the messages itself.
//
// Deadlines work as in TCP: a caller may repeat a call that timed out, and no byte is
// lost or sent twice. For this a Write returns while its last message is still being
// sent. If that fails, the next Write or Close returns the error; Close waits up to two
// seconds for that message. Read returns io.EOF at an orderly end. Every other error is
// that of the connection, a [*transport.CloseError].
func NetConn(c transport.Conn) net.Conn { return newNetConn(c, &bytesFraming{}) }

// LengthPrefixed returns a net.Conn over c whose bytes are length-prefixed messages, and
// takes c over. The caller writes a length of four bytes, big-endian, followed by as many
// bytes; once they are complete, they go out as one message. Read returns messages in the
// same form. The bytes contain no close messages, see [Options.Plain]. Write fails for a
// message of more than [transport.DefaultMaxMessage] bytes. Everything else is as with
// [NetConn].
//
// It connects programs that speak such a protocol over TCP, by copying in both
// directions:
//
//	go io.Copy(tcp, frames)
//	io.Copy(frames, tcp)
func LengthPrefixed(c transport.Conn) net.Conn { return newNetConn(c, &prefixFraming{}) }

// A framing converts between a stream of bytes and messages.
type framing interface {
	// cut takes the first bytes of b, and returns a message once one is complete. It
	// keeps the bytes of an incomplete message.
	cut(b []byte) (message []byte, taken int, err error)

	// room returns how many bytes stand before each message in the stream, and head
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

// A prefixFraming keeps the message that is not complete yet.
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
	flushing streamconn.Turn // held while out is being sent; its holder owns what follows
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

// ended returns io.EOF itself for an orderly end, because readers compare errors with it.
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

// Close is described at net.Conn. It returns an error if the last message could not be
// sent.
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
