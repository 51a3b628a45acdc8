//go:build !js

package redial

import (
	"testing"
	"testing/synctest"
)

// fakeTime runs a test with a clock that jumps.
func fakeTime(t *testing.T, f func(*testing.T)) {
	t.Helper()
	synctest.Test(t, f)
}
