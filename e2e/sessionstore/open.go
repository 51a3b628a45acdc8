//go:build !js

package sessionstore

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/hopseal/hopseal/internal/filelock"
)

// open opens a file of the folder. It follows no link and waits for no pipe: the folder may belong
// to another user, who would like this process to write elsewhere. Nothing here opens a file in
// any other way.
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
		err = nil // somebody cut it short meanwhile
	}
	return b[:n], err
}
