//go:build !js

package redial

import (
	"context"
	"testing"
)

// Node 20 has no WebSocket to dial with, so that the context does not matter there.
func TestActionForADialThatEnded(t *testing.T) {
	if got := ActionFor(late()); got != Retry {
		t.Errorf("%v after %v", got, late())
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := dialIn(ctx); ActionFor(err) != Stop {
		t.Errorf("%v after %v", ActionFor(err), err)
	}
}
