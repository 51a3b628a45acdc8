//go:build !unix

package sessionstore

import (
	"testing"

	"github.com/hopseal/hopseal/e2e"
)

// stores give two handles of one store.
var stores = map[string]func(t *testing.T) (one, two e2e.SessionStore){
	"memory": func(*testing.T) (one, two e2e.SessionStore) { s := Memory(); return s, s },
}
