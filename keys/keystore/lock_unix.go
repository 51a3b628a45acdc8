//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package keystore

import (
	"os"
	"syscall"
)

func lockFile(f *os.File) error {
	err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if err == syscall.EWOULDBLOCK {
		return errLocked
	}
	return err
}

const (
	noWait     = syscall.O_NONBLOCK // for a pipe in the place of a file
	noFollow   = syscall.O_NOFOLLOW
	locksStore = true // a file that is open and locked can be replaced, and removed
)

// links returns how many names a file has.
func links(f *os.File) uint64 {
	info, err := f.Stat()
	if err != nil {
		return 1
	}
	return uint64(info.Sys().(*syscall.Stat_t).Nlink)
}
