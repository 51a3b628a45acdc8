//go:build !race && !js

package keys

import "testing"

func unraced(*testing.T) {}
