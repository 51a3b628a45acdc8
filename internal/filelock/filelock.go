// Package filelock locks files between processes. A lock belongs to an open file: it ends when the
// file is closed, and so with the process.
package filelock

import "errors"

// ErrLocked is returned by [Lock] where another process, or another open file of this one, has the
// lock.
var ErrLocked = errors.New("locked")
