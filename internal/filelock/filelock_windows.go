package filelock

import (
	"os"

	"golang.org/x/sys/windows"
)

// Lock takes the lock of a file, or returns [ErrLocked] at once. It locks a byte far behind the
// text, which others must be able to read.
func Lock(f *os.File) error {
	const how = windows.LOCKFILE_EXCLUSIVE_LOCK | windows.LOCKFILE_FAIL_IMMEDIATELY
	err := windows.LockFileEx(windows.Handle(f.Fd()), how, 0, 1, 0, &windows.Overlapped{OffsetHigh: 1})
	if err == windows.ERROR_LOCK_VIOLATION {
		return ErrLocked
	}
	return err
}

const (
	NoWait   = 0     // there are no such pipes
	NoFollow = 0     // there is no such flag
	Movable  = false // a file that is open cannot be replaced, nor a lock that is open be removed
)

// Names returns how many names (hard links) an open file has.
func Names(f *os.File) uint64 {
	var info windows.ByHandleFileInformation
	if windows.GetFileInformationByHandle(windows.Handle(f.Fd()), &info) != nil {
		return 1
	}
	return uint64(info.NumberOfLinks)
}
