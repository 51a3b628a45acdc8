//go:build !js

package sessionstore

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/hopseal/hopseal/internal/filelock"
)

// open opens a file of the folder, as everything here does: it follows no link and waits for no
// pipe. The folder may be another user's than this process's, who would have it write elsewhere.
func open(name string, flag int) (*os.File, os.FileInfo, error) {
	f, err := os.OpenFile(name, flag|filelock.NoFollow|filelock.NoWait, 0o600)
	if err != nil {
		return nil, nil, err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s is not a regular file: remove it", name)
	}
	if err != nil {
		f.Close()
		return nil, nil, err
	}
	return f, info, nil
}

// readAll returns what a file holds.
func readAll(name string) ([]byte, error) {
	f, info, err := open(name, os.O_RDONLY)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b := make([]byte, info.Size())
	n, err := io.ReadFull(f, b)
	if err == io.EOF || errors.Is(err, io.ErrUnexpectedEOF) {
		err = nil // it was cut meanwhile
	}
	return b[:n], err
}

// openLock opens a lock file, and gives it to the folder's owner. Locks are empty.
func (d *dir) openLock(name string) (*os.File, error) {
	f, info, err := open(name, os.O_RDWR|os.O_CREATE)
	if err != nil {
		return nil, err
	}
	if info.Size() > 0 {
		err = fmt.Errorf("%s is no lock, since it is not empty: remove it", name)
	} else {
		err = d.giveToOwner(f)
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}
