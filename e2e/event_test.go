package e2e_test

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hopseal/hopseal/e2e"
	"github.com/hopseal/hopseal/e2e/sessionstore"
)

// A session that cannot go on is told to be over once, and with what it was.
func TestNothingIsToldBehindTheEnd(t *testing.T) {
	bubble(t, func(t *testing.T) {
		srv := newServer(t, hosting(bob, alice), echo)
		cfg := stored(trusting(alice, bob), sessionstore.Memory())
		cfg.StoreName = "client"
		var mu sync.Mutex
		var told []e2e.Event
		cfg.Notify = func(e e2e.Event) {
			mu.Lock()
			defer mu.Unlock()
			told = append(told, e)
		}
		r := &road{srv: srv}
		ctx, cancel := context.WithCancel(t.Context())
		r.client(t, cfg)
		other := cfg
		other.Notify = nil
		r.client(t, other) // which takes it over
		r.set(func(r *road) { r.closed = true })
		r.cut()
		mu.Lock()
		told = nil
		mu.Unlock()
		time.AfterFunc(time.Second, cancel)
		if _, err := e2e.DialFunc(ctx, "road", cfg, r.dial); err == nil {
			t.Fatal("there is no road")
		}
		synctest.Wait()
		mu.Lock()
		defer mu.Unlock()
		closed := 0
		for _, e := range told {
			if e.State == e2e.StateClosed {
				closed++
			}
		}
		if closed != 1 || told[len(told)-1].State != e2e.StateClosed {
			t.Errorf("%d ends among %v", closed, told)
		}
	})
}
