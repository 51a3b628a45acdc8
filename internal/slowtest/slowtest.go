// Package slowtest tells tests whether they run with the race detector or compiled to wasm,
// which makes them about ten times as slow. .ci/run looks for the tests that ask, and
// runs them once more natively and without the detector.
package slowtest

import "testing"

// Mode is true with the race detector and in wasm.
const Mode = mode

// Skip skips a test that takes long where everything is slow, and has nothing to find
// there that its native run does not find.
func Skip(t *testing.T) {
	t.Helper()
	if Mode {
		t.Skip("runs natively and without the race detector")
	}
}
