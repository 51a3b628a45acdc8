//go:build !js

package main

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"regexp"
	"runtime"
)

// keyLogLine is what each line of a key log is, for Wireshark.
var keyLogLine = regexp.MustCompile(`^[A-Z0-9_]+ [0-9a-f]{64} [0-9a-f]+$`)

// openKeyLog opens a file for the secrets of TLS, to append to. It takes a new file or
// one that is a key log and nobody else's to read: secrets are not put into any other.
func openKeyLog(path string) (*os.File, error) {
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL|os.O_APPEND, 0o600)
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("%s is not a regular file: choose another path", path)
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_APPEND, 0)
	if err != nil {
		return nil, err
	}
	if err := checkKeyLog(f, info); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

func checkKeyLog(f *os.File, seen fs.FileInfo) error {
	info, err := f.Stat()
	switch {
	case err != nil:
		return err
	case !os.SameFile(info, seen):
		return fmt.Errorf("%s was replaced while it was opened: try again", f.Name())
	case runtime.GOOS != "windows" && info.Mode().Perm()&0o077 != 0:
		return fmt.Errorf("%s is open to other users (mode %#o): run chmod 600, or choose another path", f.Name(), info.Mode().Perm())
	}
	lines := bufio.NewScanner(f)
	if lines.Scan() && !keyLogLine.Match(lines.Bytes()) || lines.Err() != nil {
		return fmt.Errorf("%s holds something else than a key log: choose another path", f.Name())
	}
	return nil
}
