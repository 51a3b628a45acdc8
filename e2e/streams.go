package e2e

import (
	"slices"
	"sync"

	"github.com/hopseal/hopseal/internal/engine"
)

// streams are those of a session.
type streams struct {
	mu      sync.Mutex    // guards what follows
	slots   chan struct{} // made with the first stream
	some    chan struct{} // made by accept; may hold a token while a stream waits
	out     map[uint64]*StreamWriter
	in      map[uint64]*arrival
	waiting []*StreamReader
	held    int // readers that the application was given and is not done with

	opened  uint64 // by this end
	cancels uint64 // by the other end
	sent    uint64 // bytes of pieces, by this end
	credits uint64 // by the other end

	lent    uint64 // of the session's window, to streams of the other end's
	telling bool   // a goroutine tells the other end what is due
	spare   [][]byte
}

// An arrival is a stream of the other end's, from its open until the sender knows that
// nothing of it is left here. It is guarded by the mu of its streams.
type arrival struct {
	reader   *StreamReader // nil once nobody wants it
	opened   incoming      // at an end that is stored, until it may be forgotten
	accepted bool
	ended    bool        // all of it has come
	owed     engine.Kind // a last word that the sender is to be told; 0: none

	granted uint64 // bytes that may be sent
	came    uint64 // of those
	taken   uint64 // by the application
	marked  uint64 // taken when granted was told
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

// numbered is called before a frame is written that opens or completes a stream, as what
// the other end says of it may follow at once.
func (t *streams) numbered(m *outgoing) {
	t.mu.Lock()
	defer t.mu.Unlock()
	w := m.stream
	if m.Kind == engine.KindStreamEnd {
		w.ended = true
		t.part(w)
		return
	}
	if t.out == nil {
		t.out = map[uint64]*StreamWriter{}
	}
	t.out[m.number] = w
	t.opened++
	w.id = m.number
}

// part gives the place of a stream back that is over at both ends. It is called under mu.
func (t *streams) part(w *StreamWriter) {
	if w.ended && w.dropped {
		delete(t.out, w.id)
		w.release()
	}
}

// forget drops a stream that this end has given up.
func (t *streams) forget(w *StreamWriter) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.out, w.id)
	w.release()
}

// acceptStream returns a stream that waits, or nil if there is none, or the application has yet
// to be done with others: those that wait when the session ends are the last ones.
func (s *Session) acceptStream() *StreamReader {
	t := &s.streams
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.some == nil {
		t.some = make(chan struct{}, 1)
	}
	if len(t.waiting) == 0 || t.held >= MaxStreams && !s.over() {
		return nil
	}
	r := t.waiting[0]
	r.held = true
	t.held++
	if t.waiting = slices.Delete(t.waiting, 0, 1); len(t.waiting) > 0 && t.held < MaxStreams {
		t.wake()
	}
	r.from.accepted = true
	s.look(r.from)
	return r
}

// doneWith says that the application has nothing to come of a reader any more.
func (t *streams) doneWith(r *StreamReader) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.unheld(r)
}

// unheld is doneWith under mu.
func (t *streams) unheld(r *StreamReader) {
	if !r.held {
		return
	}
	r.held = false
	if t.held--; len(t.waiting) > 0 {
		t.wake()
	}
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

// unwanted is for a stream that this end has given up. What still comes of it is dropped.
func (s *Session) unwanted(a *arrival) {
	t := &s.streams
	t.mu.Lock()
	defer t.mu.Unlock()
	if a.reader == nil {
		return
	}
	t.drop(a)
	if a.owed = engine.KindStreamCancel; a.ended {
		a.owed = engine.KindStreamDone
	}
	s.look(a)
}

// drop has nothing of a stream kept any more. It is called under mu.
func (t *streams) drop(a *arrival) {
	t.waiting = slices.DeleteFunc(t.waiting, func(r *StreamReader) bool { return r == a.reader })
	t.lent -= a.lent()
	a.reader, a.taken = nil, a.granted
}
