//go:build unix && !linux

package socket

import (
	"errors"
	"os"
)

// openFolder fails: only Linux has a path to what is open.
func openFolder(string) (*os.File, string, error) { return nil, "", errors.ErrUnsupported }
