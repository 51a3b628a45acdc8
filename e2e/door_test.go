//go:build !js

package e2e

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
		h := aHall(t, 3, 3)
		srv := &Server{cfg: config{Options: Options{HandshakeTimeout: 10 * time.Second}}, desk: h.desk, lobby: h.lobby, places: places{most: 1}}
		h.desk.enter(t.Context(), stageLast) // and computes for long
		ctx, cancel := context.WithCancel(t.Context())
		var waiting sync.WaitGroup
		for range h.most {
			waiting.Go(func() {
				if err := srv.awaitDoor(ctx); err != context.Canceled {
					t.Errorf("at the door: %v", err)
				}
			})
		}
		synctest.Wait()
		began := time.Now()
		if err := srv.awaitDoor(t.Context()); !errors.Is(err, errBusy) || time.Since(began) > 0 {
			t.Errorf("one too many: %v after %v", err, time.Since(began))
		}
		cancel()
		waiting.Wait()
		if err := srv.awaitDoor(t.Context()); !errors.Is(err, errBusy) || time.Since(began) != srv.cfg.HandshakeTimeout/2 {
			t.Errorf("there is room again: %v after %v", err, time.Since(began))
		}
		if n := h.desk.line(); n != 0 {
			t.Errorf("%d are left behind", n)
		}
	})
}
