package e2e

import (
	"slices"
	"sync"

	"github.com/hopseal/hopseal/internal/engine"
	"github.com/hopseal/hopseal/transport"
)

// streams are those of a session.
type streams struct {
	cancelling feed[uint64]

	mu      sync.Mutex    // guards what follows
	slots   chan struct{} // made with the first stream
	some    chan struct{} // made by accept; may hold a token while a stream waits
	out     map[uint64]*StreamWriter
	in      map[uint64]*StreamReader // nil: given up, and the sender does not know yet
	waiting []*StreamReader
	opened  uint64   // by this end
	cancels uint64   // by the other end
	spare   [][]byte // memory for pieces
}

// places returns the channel that holds a token for each stream under way.
func (t *streams) places() chan struct{} {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.slots == nil {
		t.slots = make(chan struct{}, MaxStreams)
	}
	return t.slots
}

// begin is called before the frame that opens a stream is written.
func (t *streams) begin(number uint64, w *StreamWriter) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.out == nil {
		t.out = map[uint64]*StreamWriter{}
	}
	t.out[number] = w
	t.opened++
	w.id = number
}

// forget drops a stream of this end's that is over.
func (t *streams) forget(id uint64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.out, id)
}

func (t *streams) accept() *StreamReader {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.some == nil {
		t.some = make(chan struct{}, 1)
	}
	if len(t.waiting) == 0 {
		return nil
	}
	r := t.waiting[0]
	if t.waiting = slices.Delete(t.waiting, 0, 1); len(t.waiting) > 0 {
		t.wake()
	}
	return r
}

// leave takes a stream from those that wait, and reports whether it did.
func (t *streams) leave(r *StreamReader) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	i := slices.Index(t.waiting, r)
	if i >= 0 {
		t.waiting = slices.Delete(t.waiting, i, i+1)
	}
	return i >= 0
}

// any reports whether the other end has streams under way.
func (t *streams) any() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.in) > 0
}

// wake is called under mu.
func (t *streams) wake() {
	select {
	case t.some <- struct{}{}:
	default:
	}
}

// drop has the sender of a stream told that it is not wanted any more. What comes of it
// until it knows is dropped.
func (t *streams) drop(s *Session, id uint64) {
	t.mu.Lock()
	_, here := t.in[id]
	if here {
		t.in[id] = nil
	}
	t.mu.Unlock()
	if here {
		s.cancelStream(id)
	}
}

// cancelStream tells the sender of a stream that it is not wanted, without waiting. Who
// opens streams again and again and takes no cancels is cut off.
func (s *Session) cancelStream(id uint64) {
	if !s.streams.cancelling.put(id, s.window/minCost, s.sendCancel) &&
		s.end(&CloseError{Remote: true, Err: ErrStalled}) {
		go s.hangUp(transport.CodePolicy) // which may take long, and here is a lock held
	}
}

// sendCancel fails only with the session.
func (s *Session) sendCancel(id uint64) {
	s.submit(s.life, &outgoing{Header: engine.Header{Kind: engine.KindStreamCancel, Answers: id}})
}
