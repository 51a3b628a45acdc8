//go:build !unix

package atomicfile

import (
	"io/fs"
	"os"
)

// keepOwner does nothing: on Windows a new file gets its owner and its list of rights from the
// folder, which the one before had them from.
func keepOwner(*os.File, fs.FileInfo, fs.FileMode) error { return nil }

// Foreign reports whether a file belongs to another user than this process's, as far as it shows.
func Foreign(fs.FileInfo) bool { return false }
