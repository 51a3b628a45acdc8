//go:build race

package envelope

import "testing"

// unraced skips what the race detector makes ten times as slow and has nothing to find
// in: one goroutine that looks at many bytes. .ci/run runs it without.
func unraced(t *testing.T) { t.Skip("runs without the race detector") }
