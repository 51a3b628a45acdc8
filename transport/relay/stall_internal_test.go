//go:build !js

package relay

import (
	"testing"
	"testing/synctest"
	"time"
)

// A hub that is too busy to write spends nobody's patience. A stuck write does.
func TestA34OnlyStuckWritesSpendPatience(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := New(Options{})
		r := newPort(h, "192.0.2.1")
		defer r.cut(nil)
		defer r.idle.Stop()
		for r.out.drained() == nil {
			r.queue(make([]byte, 1000))
		}
		h.stalls.begin(r)
		defer h.stalls.end(r)
		time.Sleep(time.Second)
		if left := h.stalls.left(r); left != h.opts.MaxStall {
			t.Errorf("a hub that does not write: %v is left, want %v", left, h.opts.MaxStall)
		}
		for range 5 { // what is written in time costs nothing
			r.out.pop()
			r.queue(make([]byte, 1000))
			time.Sleep(10 * time.Millisecond)
		}
		if left := h.stalls.left(r); left < h.opts.MaxStall {
			t.Errorf("it takes 100 frames a second: %v is left", left)
		}
		r.out.pop()
		r.queue(make([]byte, 1000))
		time.Sleep(time.Second)
		if left := h.stalls.left(r); left > 0 {
			t.Errorf("a stuck write: %v is left", left)
		}
	})
}
