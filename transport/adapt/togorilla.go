package adapt

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"time"

	"github.com/hopseal/hopseal/internal/deadline"
	"github.com/hopseal/hopseal/internal/streamconn"
	"github.com/hopseal/hopseal/transport"
)

// A Gorilla offers, over any Conn, the methods of gorilla/websocket's Conn that most
// programs use. As with gorilla, one goroutine may read while another writes, and a passed
// deadline or a message above the limit ends the connection. Errors are those of the
// connection below: test for a [*transport.CloseError] instead of gorilla's.
type Gorilla struct {
	conn            transport.Conn
	readBy, writeBy deadline.Deadline
}

// ToGorilla returns a Gorilla over c and takes c over.
func ToGorilla(c transport.Conn) *Gorilla { return &Gorilla{conn: c} }

// ReadMessage returns the next message. Its kind is always 2, binary.
func (g *Gorilla) ReadMessage() (messageType int, p []byte, err error) {
	if p, err = g.conn.Read(late{g.readBy.Context()}, nil); err != nil {
		return -1, nil, err
	}
	return binaryMessage, p, nil
}

// NextReader returns a reader for the next message, which has come whole. Its kind
// is always 2, binary.
func (g *Gorilla) NextReader() (messageType int, r io.Reader, err error) {
	kind, p, err := g.ReadMessage()
	if err != nil {
		return kind, nil, err
	}
	return kind, bytes.NewReader(p), nil
}

// WriteMessage sends a message. Its kind must be 2, binary.
func (g *Gorilla) WriteMessage(messageType int, data []byte) error {
	if messageType != binaryMessage {
		return fmt.Errorf("adapt: messages of kind %d cannot be sent, only binary ones (2): %w", messageType, errors.ErrUnsupported)
	}
	return g.conn.Write(late{g.writeBy.Context()}, data)
}

// WriteControl closes the connection if the message is a close (8), and waits for the
// peer's close, within the limit of the connection below rather than the given deadline.
// It ignores other kinds: the connection below sends its own pings and pongs.
func (g *Gorilla) WriteControl(messageType int, data []byte, _ time.Time) error {
	if messageType != closeMessage {
		return nil
	}
	said, ok := transport.ParseClose(data)
	if !ok {
		return errors.New("adapt: this close message cannot be sent")
	}
	if said.Code == transport.CodeNoStatus {
		said.Code = transport.CodeNormal
	}
	return g.conn.Close(said.Code, said.Reason)
}

// Close ends the connection with [transport.CodeNormal].
func (g *Gorilla) Close() error { return g.conn.Close(transport.CodeNormal, "") }

// SetReadLimit limits messages to limit bytes, or to the limit of the connection below if
// that is lower. Zero or less sets no limit beside that of the connection below. It has no
// effect if the connection below cannot change its limit.
func (g *Gorilla) SetReadLimit(limit int64) {
	if c, ok := g.conn.(interface{ SetMaxMessage(n int) }); ok {
		if limit <= 0 || limit > math.MaxInt {
			limit = math.MaxInt
		}
		c.SetMaxMessage(int(limit))
	}
}

// SetReadDeadline bounds the reads under way and all later ones, as SetWriteDeadline
// bounds the writes.
func (g *Gorilla) SetReadDeadline(t time.Time) error {
	g.readBy.Set(t)
	return nil
}

// SetWriteDeadline is described at SetReadDeadline.
func (g *Gorilla) SetWriteDeadline(t time.Time) error {
	g.writeBy.Set(t)
	return nil
}

// LocalAddr returns our address, from the connection's Info.
func (g *Gorilla) LocalAddr() net.Addr {
	return streamconn.Addr{Kind: g.conn.Info().Kind, Address: g.conn.Info().Local}
}

// RemoteAddr returns the address of the next hop, from the connection's Info.
func (g *Gorilla) RemoteAddr() net.Addr {
	return streamconn.Addr{Kind: g.conn.Info().Kind, Address: g.conn.Info().Remote}
}

// late is the context of a deadline. When it ends, its Err is DeadlineExceeded.
type late struct{ context.Context }

func (l late) Err() error {
	if l.Context.Err() != nil {
		return context.DeadlineExceeded
	}
	return nil
}
