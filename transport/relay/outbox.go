//go:build !js

package relay

import (
	"sync"
	"time"
)

// An outbox holds the frames that wait to be sent to one connection. It takes no memory while it is
// empty, as most are most of the time.
type outbox struct {
	maxFrames, maxBytes int

	wake chan struct{} // holds a token if frames may be non-empty

	mu     sync.Mutex // guards what follows
	frames [][]byte
	bytes  int
	given  int64 // bytes of all frames that were popped; small frames count as leastFrame
	last   int64 // bytes of the frame that was popped last

	began   time.Time     // when the last frame was popped; zero once it is written
	writing time.Duration // how long the frames before it took to be written

	relief   chan struct{} // set while more than half full; closed when it is half full again
	relieved time.Time     // when relief was last closed
}

func newOutbox(maxFrames, maxBytes int) *outbox {
	return &outbox{maxFrames: maxFrames, maxBytes: maxBytes, wake: make(chan struct{}, 1)}
}

// push adds a frame, or returns false if there is no room. It never waits.
func (o *outbox) push(b []byte) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.frames) == o.maxFrames || o.bytes+len(b) > o.maxBytes {
		return false
	}
	o.frames, o.bytes = append(o.frames, b), o.bytes+len(b)
	if o.relief == nil && o.crowded() {
		o.relief = make(chan struct{})
	}
	select {
	case o.wake <- struct{}{}:
	default:
	}
	return true
}

// pop removes the oldest frame, if there is one. The caller has written the frame before it.
func (o *outbox) pop() (b []byte, ok bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	now := time.Now()
	o.writing, o.began = o.wrote(now), time.Time{}
	if len(o.frames) == 0 {
		o.frames = nil
		return nil, false
	}
	b, o.frames[0] = o.frames[0], nil // the array must not keep it alive
	o.frames, o.bytes = o.frames[1:], o.bytes-len(b)
	o.last, o.began = int64(len(b)), now
	o.given += max(o.last, leastFrame)
	if o.relief != nil && !o.crowded() {
		close(o.relief)
		o.relief, o.relieved = nil, now
	}
	return b, true
}

// crowded reports whether the outbox is more than half full.
func (o *outbox) crowded() bool {
	return len(o.frames) > o.maxFrames/2 || o.bytes > o.maxBytes/2
}

// drained returns nil if the outbox is at most half full. Otherwise it returns a channel that is
// closed once the outbox is at most half full.
func (o *outbox) drained() <-chan struct{} {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.relief
}

// wrote returns how long writing frames has taken in all. The caller holds o.mu.
func (o *outbox) wrote(now time.Time) time.Duration {
	if o.began.IsZero() {
		return o.writing
	}
	return o.writing + now.Sub(o.began)
}

// A progress is a snapshot of an outbox's counters.
type progress struct {
	taken   int64         // bytes that were popped, counted as given
	writing time.Duration // how long writing frames has taken in all
	crowded time.Time     // when it was last more than half full
	last    int64         // bytes of the frame that is being written, or was last
}

func (o *outbox) progress(now time.Time) progress {
	o.mu.Lock()
	defer o.mu.Unlock()
	p := progress{o.given, o.wrote(now), now, o.last}
	if o.relief == nil {
		p.crowded = o.relieved
	}
	return p
}
