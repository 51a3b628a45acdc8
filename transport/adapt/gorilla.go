package adapt

import (
	"encoding/binary"
	"io"
	"net"
	"time"

	"github.com/hopseal/hopseal/transport"
)

// The kinds of message of RFC 6455, section 5.2, as gorilla numbers them too.
const (
	textMessage   = 1
	binaryMessage = 2
	closeMessage  = 8
)

// A GorillaConn is what FromGorilla asks of a connection. The Conn of
// github.com/gorilla/websocket is one, and those of its forks are.
type GorillaConn interface {
	NextReader() (messageType int, r io.Reader, err error)
	WriteMessage(messageType int, data []byte) error
	WriteControl(messageType int, data []byte, deadline time.Time) error
	SetCloseHandler(h func(code int, text string) error)
	LocalAddr() net.Addr
	RemoteAddr() net.Addr
	Close() error
}

// FromGorilla takes over a connection of gorilla/websocket, which nobody else may
// use any more. Its ping handler stays, its close handler is replaced; a read limit
// or deadline that was set in it goes on to hold.
func FromGorilla(ws GorillaConn, opts *Options) transport.Conn {
	l := &gorillaLink{ws: ws}
	ws.SetCloseHandler(l.heardClose)
	return newConn(l, opts.withDefaults("ws", ws.LocalAddr(), ws.RemoteAddr()))
}

type gorillaLink struct {
	ws     GorillaConn
	closed error // what the peer's close message says; set within read
}

// heardClose is called within NextReader.
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

// appendMessage appends what r has left. It asks for one byte more than the limit.
func appendMessage(dst []byte, r io.Reader, limit int, l *gorillaLink) ([]byte, error) {
	var spare [1]byte // to find the end of a message that fills dst
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
