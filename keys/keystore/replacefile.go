package keystore

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/hopseal/hopseal/internal/atomicfile"
)

// replaceFile writes a new file and renames it over the store's. A reader, or a restart after a power
// cut, finds the old content or the new, never a part. The new file gets the owner of the old one, and
// is locked before it is renamed. replaceFile never replaces a file other than the locked one. If the
// error matches ErrNotDurable, the new file is in place.
func (s *Store) replaceFile(b []byte) error {
	dir, err := os.Open(filepath.Dir(s.path)) // first: without it the rename could not be synced
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

// newFile makes the empty file that will replace the store's.
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

// checkOwner returns ErrOwner if a write would. Open calls it, so that the error does not wait for the
// first change.
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

// confirm syncs the store's folder, so that the rename outlives a power cut.
func (s *Store) confirm(dir *os.File) error {
	err := s.sync(dir)
	s.written("directory synced")
	if s.unconfirmed = err != nil; s.unconfirmed {
		return &notDurableError{s.path, err}
	}
	return nil
}

// confirmWrite writes the store again if the disk has not confirmed the last write. Syncing that file
// again would confirm nothing: the system counts a page that it failed to write as written.
func (s *Store) confirmWrite() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.confirmLocked()
}

func (s *Store) confirmLocked() error {
	if !s.unconfirmed || s.closed {
		return nil
	}
	err := s.write(s.freeze())
	if err != nil && !tookEffect(err) {
		return &notDurableError{s.path, err}
	}
	return err
}
