// Package version tells bytes of a later format from bytes that are damaged.
package version

import (
	"errors"
	"fmt"

	"github.com/hopseal/hopseal/internal/strict"
)

// ErrLater is keys.ErrVersion: the bytes say that a later version of this code made them.
var ErrLater = errors.New("made by a later version: upgrade this program")

// Later adds [ErrLater] to an error if the bytes say that their version is above known.
func Later(err *error, b []byte, known uint64) {
	if *err == nil {
		return
	}
	if v, ok := strict.Version(b); ok && v > known {
		*err = fmt.Errorf("%w: %w", *err, ErrLater)
	}
}
