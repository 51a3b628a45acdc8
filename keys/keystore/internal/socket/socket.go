// Package socket listens and connects at a Unix socket beside a store, which only its own user may
// open.
package socket

import (
	"errors"
	"net"
	"os"
)

// ErrNotServed is returned by [Dial] if nobody listens.
var ErrNotServed = errors.New("no process takes requests for the store")

// A Socket is where a store's writer listens.
type Socket struct {
	Listener *net.UnixListener
	Peer     func(*net.UnixConn) error // refuses another user's process

	path string
	info os.FileInfo // of the socket: only that one is removed
}

// Close ends the socket and removes it, unless another one has its place.
func (l *Socket) Close() {
	l.Listener.Close()
	if info, err := os.Lstat(l.path); err == nil && os.SameFile(info, l.info) {
		os.Remove(l.path)
	}
}
