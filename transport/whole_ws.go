//go:build !js

package transport

import (
	"errors"
	"io"
	"net"
)

// errHungUp is what a socket reads at its end, in place of io.EOF.
var errHungUp = errors.New("the peer hung up")

// The WebSocket below says io.EOF at the end of a message, and takes one that it
// reads from the socket for the same. Where the link broke in the middle of a
// message, what had come until then would be a message. So no socket says io.EOF.
func noEOF(n int, err error) (int, error) {
	if err == io.EOF {
		err = errHungUp
	}
	return n, err
}

// A wholeSocket is the socket below a WebSocket.
type wholeSocket struct{ net.Conn }

func (s wholeSocket) Read(b []byte) (int, error) { return noEOF(s.Conn.Read(b)) }
