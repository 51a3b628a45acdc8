package adapt

import (
	"encoding/binary"
	"io"
	"net"
	"time"

	"github.com/hopseal/hopseal/transport"
)

// The kinds of message of RFC 6455, section 5.2. Gorilla uses the same numbers.
const (
	textMessage   = 1
	binaryMessage = 2
	closeMessage  = 8
)

// A GorillaConn is what FromGorilla needs of a connection. The Conns of
// github.com/gorilla/websocket and its forks implement it.
type GorillaConn interface {
	NextReader() (messageType int, r io.Reader, err error)
	WriteMessage(messageType int, data []byte) error
	WriteControl(messageType int, data []byte, deadline time.Time) error
	SetCloseHandler(h func(code int, text string) error)
	LocalAddr() net.Addr
	RemoteAddr() net.Addr
	Close() error
}

// FromGorilla returns a Conn over a connection of gorilla/websocket and takes that over:
// nobody else may use it any more. FromGorilla replaces its close handler; its ping
// handler, read limit and deadlines stay.
func FromGorilla(ws GorillaConn, opts *Options) transport.Conn {
	l := &gorillaLink{ws: ws}
	ws.SetCloseHandler(l.heardClose)
	return newConn(l, opts.withDefaults("ws", ws.LocalAddr(), ws.RemoteAddr()))
}

type gorillaLink struct {
	ws     GorillaConn
	closed error // what the peer's close message says; set during read
}

// heardClose is the close handler: NextReader calls it when the peer's close message comes.
func (l *gorillaLink) heardClose(code int, reason string) error {
	var body []byte
	if transport.Code(code) != transport.CodeNoStatus {
		body = append(binary.BigEndian.AppendUint16(nil, uint16(code)), reason...)
	}
	if closed, ok := transport.ParseClose(body); ok {
		l.closed = closed
	}
	return nil
}

func (l *gorillaLink) read(dst []byte, limit int) ([]byte, error) {
	kind, r, err := l.ws.NextReader()
	switch {
	case l.closed != nil:
		return nil, l.closed
	case err != nil:
		return nil, err
	case kind != binaryMessage:
		return nil, &transport.CloseError{Code: transport.CodeUnsupported, Err: errText}
	}
	return appendMessage(dst, r, limit, l)
}

// appendMessage appends the rest of r. It reads up to one byte more than limit, to notice
// a message that is too large.
func appendMessage(dst []byte, r io.Reader, limit int, l *gorillaLink) ([]byte, error) {
	var spare [1]byte // room to find the end of a message that fills dst
	start := len(dst)
	for {
		room := dst[len(dst):cap(dst)]
		if len(room) == 0 {
			room = spare[:]
		}
		n, err := r.Read(room[:min(len(room)-1, limit-(len(dst)-start))+1])
		dst = append(dst, room[:n]...)
		switch {
		case len(dst)-start > limit:
			return nil, tooLarge()
		case err == io.EOF:
			return dst, nil
		case l.closed != nil: // in the middle of a message
			return nil, l.closed
		case err != nil:
			return nil, err
		}
	}
}

func (l *gorillaLink) write(msg []byte) error { return l.ws.WriteMessage(binaryMessage, msg) }

func (l *gorillaLink) sayClose(body []byte) error {
	return l.ws.WriteControl(closeMessage, body, time.Now().Add(closeGrace))
}

func (l *gorillaLink) cut() { l.ws.Close() }
