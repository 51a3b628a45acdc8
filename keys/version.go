package keys

import "github.com/hopseal/hopseal/keys/internal/version"

// ErrVersion is matched by the errors for bytes of which the format is of a later version than
// this code. What they say is not verified then, and nothing of them is used.
var ErrVersion = version.ErrLater
