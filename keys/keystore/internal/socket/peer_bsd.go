//go:build darwin || freebsd

package socket

import (
	"errors"
	"net"

	"golang.org/x/sys/unix"
)

// samePeer refuses another user's process.
func samePeer(conn *net.UnixConn) error {
	raw, err := conn.SyscallConn()
	if err != nil {
		return err
	}
	var peer *unix.Xucred
	var failed error
	err = raw.Control(func(fd uintptr) { peer, failed = unix.GetsockoptXucred(int(fd), unix.SOL_LOCAL, unix.LOCAL_PEERCRED) })
	if err := errors.Join(err, failed); err != nil {
		return err
	}
	return Allowed(peer.Uid)
}
