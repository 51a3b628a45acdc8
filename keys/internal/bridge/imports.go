package bridge

import (
	"time"

	"github.com/hopseal/hopseal/keys/internal/ring"
)

// Roots are the functions for the root keys of identities.
type Roots[I any] struct {
	Attached func(id I) bool                            // whether the private key is here
	Sign     func(id I, message []byte) ([]byte, error) // with the root; the message begins with a label
}

// Imports are the functions for keys that come from elsewhere.
type Imports[I, S any] struct {
	Identity     func(name string, signing, sealing ring.Ring, now time.Time) (I, error) // with a new root
	SharedKeyset func(aeads, macs ring.Ring) (S, error)                                  // of rings that are paired
}
