package keys

import "github.com/hopseal/hopseal/keys/internal/version"

// ErrVersion is matched by the errors for bytes in a format of a later version than this code. The
// code has verified nothing in such bytes, and uses nothing of them.
var ErrVersion = version.ErrLater
