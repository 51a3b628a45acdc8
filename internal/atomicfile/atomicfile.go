// Package atomicfile has what a new file needs that takes the place of another: it belongs to
// whom that one belonged to, and its name lasts.
package atomicfile

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"runtime"
)

// An OwnerError says that a new file cannot have the owner, or the group, of another.
type OwnerError struct {
	UID, GID uint32
	Err      error // the system's
}

func (e *OwnerError) Error() string {
	return fmt.Sprintf("this process may make no file of user %d and group %d (%v): run it as that user, with sudo -u '#%d'", e.UID, e.GID, e.Err, e.UID)
}

// Unwrap returns the system's error.
func (e *OwnerError) Unwrap() error { return e.Err }

// Keep gives a new file the owner, the group and the mode of the one whose place it will take,
// or of the folder that it is in. It is for files that are empty still, and were opened without
// following a link: the folder may be another user's, who would be given what he links to. Of the
// mode the file gets the bits in most. A group that cannot be kept is an error where the mode gives it
// anything.
//
// The error is an [*OwnerError] where the process may not do that.
func Keep(f *os.File, like fs.FileInfo, most fs.FileMode) error {
	mode := like.Mode().Perm() & most
	if err := keepOwner(f, like, mode); err != nil {
		return err
	}
	if info, err := f.Stat(); err == nil && info.Mode().Perm() == mode {
		return nil // without asking: who gave a file away may need a right for that
	}
	return f.Chmod(mode)
}

// Sync makes the names in a folder survive a power cut, where the file system knows how.
func Sync(folder *os.File) error { return SyncBy(folder, (*os.File).Sync) }

// SyncBy is Sync by another function, for tests.
func SyncBy(folder *os.File, sync func(*os.File) error) error {
	err := sync(folder)
	if errors.Is(err, fs.ErrInvalid) || runtime.GOOS == "windows" {
		return nil
	}
	return err
}
