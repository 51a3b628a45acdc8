//go:build !js

package transport

import (
	"errors"
	"io"
	"net"
	"net/http"
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

// A wholeSocket is the socket of an accepted connection.
type wholeSocket struct{ net.Conn }

func (s wholeSocket) Read(b []byte) (int, error) { return noEOF(s.Conn.Read(b)) }

// wholeBodies is for the client of a dial, whose socket comes as the body of the
// answer.
type wholeBodies struct{ http.RoundTripper }

func (w wholeBodies) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := w.RoundTripper.RoundTrip(r)
	if err != nil || resp.StatusCode != http.StatusSwitchingProtocols {
		return resp, err
	}
	if socket, ok := resp.Body.(io.ReadWriteCloser); ok {
		resp.Body = wholeBody{socket}
	}
	return resp, nil
}

type wholeBody struct{ io.ReadWriteCloser }

func (b wholeBody) Read(p []byte) (int, error) { return noEOF(b.ReadWriteCloser.Read(p)) }
