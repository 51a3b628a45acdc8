package keystore

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"time"

	"github.com/hopseal/hopseal/internal/filelock"
	"github.com/hopseal/hopseal/internal/safetext"
)

// lockTries bounds how often lockBeside tries again after somebody removed the lock file.
const lockTries = 100

var errLockGone = errors.New("the lock file comes and goes: try again")

// lockBeside locks the file beside a store, and reports whether it made that file. A process that
// then fails to open the store removes the file that it made. So a lock counts only if the locked
// file still has its name.
func lockBeside(path string) (f *os.File, made bool, err error) {
	for range lockTries {
		f, made, err = tryLockBeside(path)
		if err != errLockGone {
			break
		}
	}
	switch {
	case errors.Is(err, fs.ErrPermission):
		err = fmt.Errorf("keys: %w: give the lock and its folder the owner of the store", err)
	case err != nil && !errors.Is(err, ErrInUse):
		err = fmt.Errorf("keys: %w", err)
	}
	return f, made, err
}

func tryLockBeside(path string) (f *os.File, made bool, err error) {
	if f, made, err = openLock(path + ".lock"); err != nil {
		return nil, false, err
	}
	if err := lockOpened(path, f); err != nil {
		f.Close()
		return nil, false, err
	}
	return f, made, nil
}

// lockOpened locks the file that openLock has opened. It returns errLockGone if somebody has removed
// the file meanwhile.
func lockOpened(path string, f *os.File) (err error) {
	foreign := !isLock(f)
	if !foreign {
		err = filelock.Lock(f)
	}
	switch {
	case !named(f):
		return errLockGone
	case foreign:
		return fmt.Errorf("%s.lock is a file of something else: move it away", path)
	case err != nil:
		return lockError(path, f, err)
	}
	return nil
}

func openLock(name string) (f *os.File, made bool, err error) {
	f, err = os.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL|filelock.NoFollow, 0o600)
	if !errors.Is(err, fs.ErrExist) {
		return f, err == nil, err
	}
	f, err = os.OpenFile(name, os.O_RDWR|filelock.NoFollow, 0)
	if errors.Is(err, fs.ErrNotExist) {
		err = errLockGone
	}
	return f, false, err
}

// named reports whether a file still has the name under which it was opened.
func named(f *os.File) bool {
	info, err := f.Stat()
	if err != nil {
		return false
	}
	now, err := os.Lstat(f.Name())
	return err == nil && os.SameFile(info, now)
}

// isLock reports whether a file may be overwritten: it is a lock, or empty.
func isLock(f *os.File) bool {
	info, err := f.Stat()
	if err != nil || !info.Mode().IsRegular() || filelock.Names(f) != 1 {
		return false
	}
	head, _ := io.ReadAll(io.NewSectionReader(f, 0, int64(len(lockPrefix))))
	return info.Size() == 0 || string(head) == lockPrefix
}

const lockPrefix = "process "

// writeHolder writes into the lock file who holds it, for the error that the next process gets. On a
// full disk the file stays empty, and the lock is held all the same.
func writeHolder(f *os.File) {
	host, _ := os.Hostname()
	text := fmt.Sprintf(lockPrefix+"%d on %s since %s\n", os.Getpid(), host, time.Now().UTC().Format(time.RFC3339))
	n, err := f.WriteAt([]byte(text), 0)
	if err != nil {
		n = 0 // isLock refuses a file with a part of lockPrefix
	}
	f.Truncate(int64(n))
}

func holder(f *os.File) string {
	b, err := io.ReadAll(io.NewSectionReader(f, 0, 256))
	if text := strings.TrimSpace(string(b)); err == nil && text != "" {
		return safetext.Line(text, 200)
	}
	return "another process"
}
