package flow

import (
	"math"
	"sync/atomic"
	"time"
)

// A watchdog calls stuck if one write takes too long. Its timer keeps running while there are writes,
// instead of being set for each, so watching a write costs two atomic stores.
type watchdog struct {
	most  time.Duration
	stuck func()

	born  time.Time
	since atomic.Int64 // when the write began, in ns after born; 0 if there is none
	armed atomic.Bool  // the timer is set
	timer *time.Timer
}

func (w *watchdog) start(most time.Duration, stuck func()) {
	w.most, w.stuck, w.born = most, stuck, time.Now().Add(-1)
	w.timer = time.AfterFunc(math.MaxInt64, w.ring)
	w.timer.Stop()
}

func (w *watchdog) begin(now time.Time) {
	w.since.Store(int64(now.Sub(w.born)))
	w.arm(w.most)
}

func (w *watchdog) end() { w.since.Store(0) }

func (w *watchdog) arm(after time.Duration) {
	if !w.armed.Load() && w.armed.CompareAndSwap(false, true) {
		w.timer.Reset(after)
	}
}

func (w *watchdog) ring() {
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

func (w *watchdog) stop() { w.timer.Stop() }
