package e2e

import (
	"math"
	"sync/atomic"
	"time"
)

// A watch calls somebody when one write takes too long. Its timer runs on while there
// are writes, instead of being set for each, so a write costs two stores.
type watch struct {
	most  time.Duration
	stuck func()

	born  time.Time
	since atomic.Int64 // when the write began, in ns after born; 0 if there is none
	armed atomic.Bool  // the timer is set
	timer *time.Timer
}

func (w *watch) start(most time.Duration, stuck func()) {
	w.most, w.stuck, w.born = most, stuck, time.Now().Add(-1)
	w.timer = time.AfterFunc(math.MaxInt64, w.ring)
	w.timer.Stop()
}

func (w *watch) begin(now time.Time) {
	w.since.Store(int64(now.Sub(w.born)))
	w.arm(w.most)
}

func (w *watch) end() { w.since.Store(0) }

func (w *watch) arm(after time.Duration) {
	if !w.armed.Load() && w.armed.CompareAndSwap(false, true) {
		w.timer.Reset(after)
	}
}

func (w *watch) ring() {
	w.armed.Store(false)
	since := w.since.Load()
	if since == 0 {
		return
	}
	if left := w.most - (time.Since(w.born) - time.Duration(since)); left > 0 {
		w.arm(left)
	} else {
		w.stuck()
	}
}

func (w *watch) stop() { w.timer.Stop() }
