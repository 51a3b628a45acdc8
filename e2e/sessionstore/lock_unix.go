//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package sessionstore

import (
	"os"
	"syscall"
)

// lockFile waits for the lock. It goes with the file, and so with the process.
func lockFile(f *os.File) error {
	for {
		if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != syscall.EINTR {
			return err
		}
	}
}
