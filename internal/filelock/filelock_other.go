//go:build !(darwin || dragonfly || freebsd || linux || netbsd || openbsd || windows)

package filelock

import (
	"errors"
	"os"
)

// Lock fails: without locks two processes would write one file, and each would believe that it is
// the only one.
func Lock(*os.File) error { return errors.New("this system has no file locks that Hopseal knows") }

const (
	NoWait   = 0
	NoFollow = 0
	Movable  = false
)

// Names returns 1.
func Names(*os.File) uint64 { return 1 }
