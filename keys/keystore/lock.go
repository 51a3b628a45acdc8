package keystore

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"

	"github.com/hopseal/hopseal/internal/filelock"
	"github.com/hopseal/hopseal/keys/keystore/internal/socket"
)

// A fileLock makes this process the store's one writer. It holds two locks, which end with the
// process: one on a file beside the store, which says who holds it, and one on the store's own
// file, which also stops a writer that opens the store under another name. The second lock moves on
// with each new file that replaces the store's.
type fileLock struct {
	f    *os.File
	made bool        // this process has made f
	held *os.File    // the store's file, nil before there is one, and on Windows
	info os.FileInfo // of the store's file
	kept []*os.File  // earlier files that still have another name
}

func lockStore(path string) (*fileLock, error) {
	f, made, err := lockBeside(path)
	if err != nil {
		return nil, err
	}
	l := &fileLock{f: f, made: made}
	if err := l.claim(path); err != nil {
		l.abandon()
		return nil, err
	}
	return l, nil
}

func (l *fileLock) claim(path string) error {
	if err := l.claimStore(path); err != nil {
		return lockError(path, l.f, err)
	}
	if err := keepOwner(l.f, path, nil); err != nil && l.made {
		return err
	}
	writeHolder(l.f)
	return nil
}

func lockError(path string, f *os.File, err error) error {
	switch {
	case errors.Is(err, filelock.ErrLocked):
		return fileError(path, ErrInUse, "held by "+holder(f)+": "+inUseAdvice())
	case err != nil:
		return fmt.Errorf("keys: locking %s: %w", path, err)
	}
	return nil
}

// claimStore locks the store's own file, if there is one.
func (l *fileLock) claimStore(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR|filelock.NoFollow, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := l.lockFile(f); err != nil {
		f.Close()
		return err
	}
	if n := filelock.Names(f); n > 1 {
		return fmt.Errorf("it has %d names (hard links), of which a write would leave the others with old keys: remove them, or copy it", n)
	}
	return l.check(path)
}

// lockFile locks the store's file, or the file that is about to replace it.
func (l *fileLock) lockFile(f *os.File) (err error) {
	if filelock.Movable {
		err = filelock.Lock(f)
	}
	info, statErr := f.Stat()
	if err = errors.Join(err, statErr); err != nil {
		return err
	}
	old := l.held
	if l.info, l.held = info, f; !filelock.Movable {
		l.held = nil
		return f.Close()
	}
	if old != nil {
		l.kept = append(l.kept, old)
	}
	return nil
}

// check reports whether the store's file is still the one that is locked.
func (l *fileLock) check(path string) error {
	info, err := os.Lstat(path)
	switch missing := errors.Is(err, fs.ErrNotExist); {
	case missing && (l.held == nil || filelock.Names(l.held) == 0):
		return nil // the store is new, or was removed: only memory has it
	case missing:
		return fileError(path, ErrReplaced, "it was moved: move it back, or stop this process")
	case err != nil:
		return fmt.Errorf("keys: %w", err)
	case l.info == nil:
		return fileError(path, fs.ErrExist, "choose another path, or open it")
	case !os.SameFile(info, l.info):
		return fileError(path, ErrReplaced, "stop this process, and start it again with the one file that is to stay")
	}
	return nil
}

// replace puts a new file in the place of the store's. The lock moves to it.
func (l *fileLock) replace(path string, f *os.File) error {
	if err := l.check(path); err != nil {
		return errors.Join(err, f.Close())
	}
	before := *l
	if err := l.lockFile(f); err != nil {
		*l = before
		return errors.Join(fmt.Errorf("keys: %s not written: %w", path, err), f.Close())
	}
	if err := os.Rename(f.Name(), path); err != nil {
		*l = before
		return errors.Join(fmt.Errorf("keys: %w", err), closed(f))
	}
	l.closeUnnamed()
	return nil
}

func closed(f *os.File) error {
	if filelock.Movable {
		return f.Close()
	}
	return nil // lockFile has closed it
}

// closeUnnamed closes earlier files that have no name any more. The others stay locked: a writer that
// opened one under its other name would begin a second history of the store.
func (l *fileLock) closeUnnamed() {
	l.kept = slices.DeleteFunc(l.kept, func(f *os.File) bool { return filelock.Names(f) == 0 && f.Close() == nil })
}

// release leaves the lock file in place, for the next writer.
func (l *fileLock) release() error {
	for _, f := range append(l.kept, l.held) {
		if f != nil {
			f.Close()
		}
	}
	return l.f.Close()
}

// abandon releases the lock of a store that was not opened or made. It removes the lock file if it
// made it.
func (l *fileLock) abandon() {
	name := l.f.Name()
	if l.made && filelock.Movable {
		os.Remove(name)
	}
	l.release()
	if l.made && !filelock.Movable {
		os.Remove(name) // fails if the next process has it open
	}
}

// inUseAdvice says what to do where another process has a store open.
func inUseAdvice() string {
	if socket.Works {
		return "stop it, or have it call Run or Serve of its keystore.Store, which take requests"
	}
	return "stop it for the change: it takes no requests on this system"
}
