//go:build !race

package keys

import "testing"

func unraced(*testing.T) {}
