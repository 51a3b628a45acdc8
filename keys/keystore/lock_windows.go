package keystore

import (
	"os"

	"golang.org/x/sys/windows"
)

// lockFile locks a byte far behind the text, which others must be able to read.
func lockFile(f *os.File) error {
	at := &windows.Overlapped{OffsetHigh: 1}
	err := windows.LockFileEx(windows.Handle(f.Fd()), windows.LOCKFILE_EXCLUSIVE_LOCK|windows.LOCKFILE_FAIL_IMMEDIATELY, 0, 1, 0, at)
	if err == windows.ERROR_LOCK_VIOLATION {
		return errLocked
	}
	return err
}

const (
	noWait     = 0
	noFollow   = 0
	locksStore = false // a file that is open cannot be replaced, nor the lock beside it be removed
)

// links returns how many names a file has.
func links(f *os.File) uint64 {
	var info windows.ByHandleFileInformation
	if windows.GetFileInformationByHandle(windows.Handle(f.Fd()), &info) != nil {
		return 1
	}
	return uint64(info.NumberOfLinks)
}
