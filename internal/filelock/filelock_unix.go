//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package filelock

import (
	"os"
	"syscall"
)

// Lock takes the lock of a file, or returns [ErrLocked] at once.
func Lock(f *os.File) error {
	for {
		switch err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err {
		case syscall.EINTR:
		case syscall.EWOULDBLOCK:
			return ErrLocked
		default:
			return err
		}
	}
}

const (
	// NoWait is a flag of os.OpenFile: do not wait for a writer where a pipe is in the place of a file.
	NoWait = syscall.O_NONBLOCK
	// NoFollow is a flag of os.OpenFile: do not follow a symbolic link in the place of a file.
	NoFollow = syscall.O_NOFOLLOW
	// Movable says that a file that is open and locked can be renamed, replaced and removed.
	Movable = true
)

// Names returns how many names (hard links) an open file has.
func Names(f *os.File) uint64 {
	info, err := f.Stat()
	if err != nil {
		return 1
	}
	return uint64(info.Sys().(*syscall.Stat_t).Nlink)
}
