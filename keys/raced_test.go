//go:build race && !js

package keys

import "testing"

// unraced skips what the race detector makes ten times as slow and has nothing to find
// in: one goroutine that rotates for years. .ci/run runs it without.
func unraced(t *testing.T) { t.Skip("runs without the race detector") }
