//go:build !(darwin || dragonfly || freebsd || linux || netbsd || openbsd || windows || js)

package sessionstore

import (
	"errors"
	"os"
)

// lockFile fails: two writers of one file would both believe that they own the session.
func lockFile(*os.File) error { return errors.New("this system has no file locks that Hopseal knows") }

const noFollow, noWait = 0, 0
