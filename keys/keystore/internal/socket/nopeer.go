//go:build unix && !linux && !darwin && !freebsd

package socket

import "net"

// samePeer leaves it to the socket's mode who may connect, and to the store's key who is heard.
func samePeer(*net.UnixConn) error { return nil }
