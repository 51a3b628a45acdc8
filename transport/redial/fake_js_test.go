package redial

import (
	"syscall/js"
	"testing"
	"testing/synctest"
)

// fakeTime runs a test with a clock that jumps. In a browser, whose events come
// from outside, that clock stands still once a page's listeners are in the bubble:
// there the tests run natively and under Node only.
func fakeTime(t *testing.T, f func(*testing.T)) {
	t.Helper()
	if !js.Global().Get("document").IsUndefined() {
		t.Skip("fake time does not pass in a browser: this runs natively and under Node")
	}
	synctest.Test(t, f)
}
