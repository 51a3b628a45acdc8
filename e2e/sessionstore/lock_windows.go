package sessionstore

import (
	"os"

	"golang.org/x/sys/windows"
)

// lockFile takes the lock, unless another process has it. It goes with the file, and so with the
// process.
func lockFile(f *os.File) error {
	const how = windows.LOCKFILE_EXCLUSIVE_LOCK | windows.LOCKFILE_FAIL_IMMEDIATELY
	err := windows.LockFileEx(windows.Handle(f.Fd()), how, 0, 1, 0, new(windows.Overlapped))
	if err == windows.ERROR_LOCK_VIOLATION {
		return errLocked
	}
	return err
}

const noFollow, noWait = 0, 0
