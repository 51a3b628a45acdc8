//go:build !js

package keys

import "fmt"

// errNil is for an argument of that type that is nil, or the zero value where only this package
// makes others.
func errNil(what string) error { return fmt.Errorf("keys: no %s was given: it is nil or empty", what) }
