// Package failing has tests that fail, to see that somebody notices.
package failing

import (
	"os"
	"syscall/js"
	"testing"
)

func TestPasses(t *testing.T) {
	if js.Global().Get("document").IsUndefined() || os.Getenv("COLOUR") != "green" {
		t.Error("this is no browser, or the environment did not come through")
	}
}

func TestFails(t *testing.T) { t.Error("as it should") }

func TestPanics(t *testing.T) { panic("as it should too") }
