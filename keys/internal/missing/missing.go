// Package missing has the error that all packages of keys return for an argument that is nil or
// empty.
package missing

import "fmt"

// Arg returns the error for an argument of that type that is nil, or a zero value that nobody made.
func Arg(what string) error { return fmt.Errorf("keys: no %s was given: it is nil or empty", what) }
