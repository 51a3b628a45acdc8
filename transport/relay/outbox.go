//go:build !js

package relay

import (
	"sync"
	"time"
)

// An outbox holds the frames that wait to be sent to one connection. It takes no
// memory while it is empty: most are, most of the time.
type outbox struct {
	maxFrames, maxBytes int

	wake chan struct{} // holds a token when frames may have become non-empty

	mu     sync.Mutex // guards what follows
	frames [][]byte
	bytes  int
	given  int64 // bytes of all frames that were popped, small ones counted as leastFrame
	last   int64 // bytes of the one that was popped last

	began   time.Time     // when the last one was popped; zero when that is written
	writing time.Duration // that all before it took to be written

	relief   chan struct{} // while more than half full: closed when that is over
	relieved time.Time     // when it was, last
}

func newOutbox(maxFrames, maxBytes int) *outbox {
	return &outbox{maxFrames: maxFrames, maxBytes: maxBytes, wake: make(chan struct{}, 1)}
}

// push adds a frame, or reports that there is no room. It never waits.
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

// pop removes the oldest frame, if there is one. The one before it has been written.
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

// drained returns a channel that is closed when the outbox is no longer more than
// half full; nil where it is not.
func (o *outbox) drained() <-chan struct{} {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.relief
}

// wrote returns for how long frames have been written. It is called under mu.
func (o *outbox) wrote(now time.Time) time.Duration {
	if o.began.IsZero() {
		return o.writing
	}
	return o.writing + now.Sub(o.began)
}

// A progress is how far an outbox has come.
type progress struct {
	taken   int64         // what has been popped, as given counts it
	writing time.Duration // for how long frames have been written
	crowded time.Time     // up to when it was more than half full: now, where it is
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
