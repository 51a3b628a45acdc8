package keystore

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/hopseal/hopseal/internal/atomicfile"
)

// ErrNotDurable is matched by the error of a change that took effect, in the store's file and in
// what came out of the store, where the disk did not confirm that the file keeps its name when
// the power fails. Until the disk does, a store is written anew at each [Store.Rotate].
var ErrNotDurable = errors.New("written, but may not survive a power cut")

// ErrOwner is wrapped by the error of [Open], and of a write, where the store belongs to
// another user and this process could not give the new file back to that user.
var ErrOwner = errors.New("the store belongs to another user")

type notDurableError struct {
	path string
	err  error // the disk's
}

func (e *notDurableError) Error() string {
	return fmt.Sprintf("keys: %s: %v: the disk did not confirm it: %v: look after the disk", e.path, ErrNotDurable, e.err)
}

func (e *notDurableError) Unwrap() []error { return []error{ErrNotDurable, e.err} }

// tookEffect reports whether a write with that error has changed the file.
func tookEffect(err error) bool { return err == nil || errors.Is(err, ErrNotDurable) }

// onlyDoubt reports whether all that is wrong is that changes may not last.
func onlyDoubt(err error) bool {
	switch e := err.(type) {
	case *notDurableError:
		return true
	case interface{ Unwrap() []error }:
		return !slices.ContainsFunc(e.Unwrap(), func(err error) bool { return !onlyDoubt(err) })
	}
	return false
}

// replaceFile puts a new file in the place of the store's: a reader, or a restart after power
// loss, finds the old content or the new, never a part. The new file belongs to whom the old one
// did, is locked before it has the name, and does not take it from a file that is not the locked
// one. The error matches ErrNotDurable where it has the name.
func (s *Store) replaceFile(b []byte) error {
	dir, err := os.Open(filepath.Dir(s.path)) // first: where that fails, nothing could be made to last
	if err != nil {
		return fmt.Errorf("keys: %w", err)
	}
	defer dir.Close()
	f, err := s.newFile()
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // fails once renamed
	_, err = f.Write(b)
	s.written("written")
	err = errors.Join(err, f.Sync())
	s.written("synced")
	if err != nil {
		return fmt.Errorf("keys: %s not written: %w", s.path, errors.Join(err, f.Close()))
	}
	if err := s.lock.replace(s.path, f); err != nil {
		return err
	}
	s.written("renamed")
	return s.confirm(dir)
}

// newFile makes the empty file that will take the place of the store's.
func (s *Store) newFile() (*os.File, error) {
	f, err := os.CreateTemp(filepath.Dir(s.path), tempPrefix(s.path)+"*"+tempSuffix) // mode 0600
	if err != nil {
		return nil, fmt.Errorf("keys: %w", err)
	}
	s.written("created")
	if err := keepOwner(f, s.path, s.lock.info); err != nil {
		os.Remove(f.Name())
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// checkOwner returns now the ErrOwner that a write would return later.
func (s *Store) checkOwner() error {
	if s.lock.info == nil || !atomicfile.Foreign(s.lock.info) {
		return nil
	}
	f, err := s.newFile()
	if err != nil {
		return err
	}
	return errors.Join(f.Close(), os.Remove(f.Name()))
}

// keepOwner gives a new file the owner of the store's. Where that was removed it is like.
func keepOwner(f *os.File, path string, like fs.FileInfo) error {
	if info, err := os.Lstat(path); err == nil {
		like = info
	}
	if like == nil {
		return nil
	}
	err := atomicfile.Keep(f, like, 0o700)
	if owner, ok := errors.AsType[*atomicfile.OwnerError](err); ok {
		return fileError(path, ErrOwner, owner.Error())
	}
	if err != nil {
		return fmt.Errorf("keys: %s not written: %w", path, err)
	}
	return nil
}

// confirm asks the disk to keep the names in the store's folder.
func (s *Store) confirm(dir *os.File) error {
	err := s.sync(dir)
	s.written("directory synced")
	if s.doubt = err != nil; s.doubt {
		return &notDurableError{s.path, err}
	}
	return nil
}

// settle writes the store anew if the disk did not say that it keeps the last write. To ask again
// about that one confirms nothing: what failed to be written counts as written then.
func (s *Store) settle() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.settleLocked()
}

func (s *Store) settleLocked() error {
	if !s.doubt || s.closed {
		return nil
	}
	err := s.write(s.freeze())
	if err != nil && !tookEffect(err) {
		return &notDurableError{s.path, err}
	}
	return err
}

const tempSuffix = ".part"

func tempPrefix(path string) string { return "." + filepath.Base(path) + "." }

// removeLeftovers removes what writers that were killed left beside a store: parts
// of files that nobody reads, with keys that may have been destroyed since. Only
// the holder of the store's lock may call it.
func removeLeftovers(path string) {
	dir := filepath.Dir(path)
	entries, _ := os.ReadDir(dir) // a folder that cannot be listed keeps them
	for _, e := range entries {
		middle, prefixed := strings.CutPrefix(e.Name(), tempPrefix(path))
		digits, suffixed := strings.CutSuffix(middle, tempSuffix)
		if prefixed && suffixed && e.Type().IsRegular() && strings.Trim(digits, "0123456789") == "" {
			os.Remove(filepath.Join(dir, e.Name()))
		}
	}
}
