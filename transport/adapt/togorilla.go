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

// A Gorilla has the methods of gorilla/websocket's Conn that most programs use, over
// any connection. As there, one goroutine may read and one write, a deadline that
// passes ends the connection, and a limit that is exceeded does. Errors are those of
// the connection below: test for a [*transport.CloseError] where a program tests for
// gorilla's.
type Gorilla struct {
	conn            transport.Conn
	readBy, writeBy deadline.Deadline
}

// ToGorilla takes a connection over.
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

// WriteControl closes the connection where the message is a close (8), and waits
// for the peer's, by a limit of its own. Pings and pongs are left to the connection
// below, which has its own.
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

// SetReadLimit makes limit the most bytes that a message may have, unless the
// connection below has a lower limit; 0 and less are no limit of its own. It has no
// effect where the connection below cannot change its limit.
func (g *Gorilla) SetReadLimit(limit int64) {
	if c, ok := g.conn.(interface{ SetMaxMessage(n int) }); ok {
		if limit <= 0 || limit > math.MaxInt {
			limit = math.MaxInt
		}
		c.SetMaxMessage(int(limit))
	}
}

// SetReadDeadline and SetWriteDeadline bound the calls under way and all later ones.
func (g *Gorilla) SetReadDeadline(t time.Time) error {
	g.readBy.Set(t)
	return nil
}

// SetWriteDeadline is described at SetReadDeadline.
func (g *Gorilla) SetWriteDeadline(t time.Time) error {
	g.writeBy.Set(t)
	return nil
}

// LocalAddr returns our address, as the connection's Info has it.
func (g *Gorilla) LocalAddr() net.Addr {
	return streamconn.Addr{Kind: g.conn.Info().Kind, Address: g.conn.Info().Local}
}

// RemoteAddr returns the address of the next hop, as the connection's Info has it.
func (g *Gorilla) RemoteAddr() net.Addr {
	return streamconn.Addr{Kind: g.conn.Info().Kind, Address: g.conn.Info().Remote}
}

// late is the context of a deadline, and says so when it ends.
type late struct{ context.Context }

func (l late) Err() error {
	if l.Context.Err() != nil {
		return context.DeadlineExceeded
	}
	return nil
}
