//go:build !(darwin || dragonfly || freebsd || linux || netbsd || openbsd || windows)

package keystore

import (
	"errors"
	"os"
)

// lockFile fails: two writers on one store would make two keys for one purpose.
func lockFile(*os.File) error { return errors.New("this system has no file locks that Hopseal knows") }

const (
	noWait     = 0
	noFollow   = 0
	locksStore = false
)

func links(*os.File) uint64 { return 1 }
