package lobby

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// Promise 4: requests that wait for their upgrade are bounded, and those who leave make room.
func TestTheDoorIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const most = 5 * time.Second
		h := aHall(t, 3, 3)
		h.scheduler.enter(t.Context(), StageLast) // and computes for long
		ctx, cancel := context.WithCancel(t.Context())
		var waiting sync.WaitGroup
		for range h.limits.Handshakes {
			waiting.Go(func() {
				if err := h.AwaitUpgrade(ctx, 0, most); err != context.Canceled {
					t.Errorf("at the door: %v", err)
				}
			})
		}
		synctest.Wait()
		began := time.Now()
		if err := h.AwaitUpgrade(t.Context(), 0, most); !errors.Is(err, ErrBusy) || time.Since(began) > 0 {
			t.Errorf("one too many: %v after %v", err, time.Since(began))
		}
		cancel()
		waiting.Wait()
		if err := h.AwaitUpgrade(t.Context(), 0, most); !errors.Is(err, ErrBusy) || time.Since(began) != most {
			t.Errorf("there is room again: %v after %v", err, time.Since(began))
		}
		if n := h.scheduler.queued(); n != 0 {
			t.Errorf("%d are left behind", n)
		}
	})
}
