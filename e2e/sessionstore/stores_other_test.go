//go:build !unix

package sessionstore

import (
	"testing"
)

// stores give two handles of one store.
var stores = map[string]func(t *testing.T) (one, two Store){
	"memory": func(*testing.T) (one, two Store) { s := Memory(); return s, s },
}
