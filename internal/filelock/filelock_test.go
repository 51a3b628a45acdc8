//go:build linux || darwin || windows

package filelock

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

// A lock keeps others out until its file is closed, and counts for each open file.
func TestLockEndsWithItsFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	open := func() *os.File {
		f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|NoFollow|NoWait, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	first, second := open(), open()
	defer second.Close()
	if err := Lock(first); err != nil {
		t.Fatal(err)
	}
	if err := Lock(second); err != ErrLocked {
		t.Errorf("the second one gets %v", err)
	}
	if err := errors.Join(first.Close(), Lock(second)); err != nil {
		t.Errorf("after the first one is closed: %v", err)
	}
}

func TestNamesAreCounted(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if n := Names(f); n != 1 {
		t.Errorf("%d names of a new file", n)
	}
	if err := os.Link(path, path+"b"); err != nil {
		t.Skip(err)
	}
	if n := Names(f); n != 2 {
		t.Errorf("%d names", n)
	}
}
