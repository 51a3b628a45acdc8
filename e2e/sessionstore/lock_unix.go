//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package sessionstore

import (
	"os"
	"syscall"
)

// lockFile takes the lock, unless another process has it. It goes with the file, and so with the
// process.
func lockFile(f *os.File) error {
	for {
		switch err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err {
		case syscall.EINTR:
		case syscall.EWOULDBLOCK:
			return errLocked
		default:
			return err
		}
	}
}

const (
	noFollow = syscall.O_NOFOLLOW
	noWait   = syscall.O_NONBLOCK // for a pipe in the place of a file
)
