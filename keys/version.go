package keys

import (
	"errors"
	"fmt"

	"github.com/hopseal/hopseal/internal/strict"
)

// ErrVersion is matched by the errors for bytes of which the format is of a later version than
// this code. What they say is not verified then, and nothing of them is used.
var ErrVersion = errors.New("made by a later version: upgrade this program")

// laterVersion adds [ErrVersion] to the error for bytes that say they are of a version above
// known.
func laterVersion(err *error, b []byte, known uint64) {
	if *err == nil {
		return
	}
	if v, ok := strict.Version(b); ok && v > known {
		*err = fmt.Errorf("%w: %w", *err, ErrVersion)
	}
}
