//go:build !js

package transport

import (
	"errors"
	"io"
	"net"
)

// errHungUp is the error of a socket at its end, instead of io.EOF.
var errHungUp = errors.New("the peer hung up")

// noEOF replaces io.EOF. The WebSocket library returns io.EOF at the end of a message, and treats
// an io.EOF from the socket the same way. So a message that a broken link cut in the middle would
// pass as complete.
func noEOF(n int, err error) (int, error) {
	if err == io.EOF {
		err = errHungUp
	}
	return n, err
}

// A noEOFSocket is the socket below a WebSocket. Its Read never returns io.EOF.
type noEOFSocket struct{ net.Conn }

func (s noEOFSocket) Read(b []byte) (int, error) { return noEOF(s.Conn.Read(b)) }
