//go:build !js

package e2e_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hopseal/hopseal/e2e"
	"github.com/hopseal/hopseal/e2e/mux"
)

// Requests whose callers have gone count until they are served: so many of them are served at a
// time, however many are sent.
func TestA56RequestsWithTheApplication(t *testing.T) {
	bubble(t, func(t *testing.T) {
		client, server := over(t)
		var held, most atomic.Int64
		router := mux.New()
		router.Handle("slow", func(context.Context, *e2e.Request) ([]byte, error) {
			if now := held.Add(1); now > most.Load() {
				most.Store(now)
			}
			time.Sleep(30 * time.Second)
			held.Add(-1)
			return nil, nil
		})
		serving(t, server, router)
		for range 2000 {
			ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
			client.Call(ctx, "slow", nil)
			cancel()
		}
		if got := most.Load(); got > 64 || got == 0 {
			t.Errorf("%d requests were served at a time, want %d at most", got, 64)
		}
	})
}
