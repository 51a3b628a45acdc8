package streams

import (
	"context"
	"slices"
	"sync"
	"time"
)

const (
	// Max is how many streams each end may have under way at a time, with those that the peer
	// has not read to their end.
	Max = 64

	// MaxMetadata bounds the Data of [Stream], in bytes.
	MaxMetadata = 4 << 10

	// maxPiece is the most of a stream that one message carries. With the header it fills one
	// record.
	maxPiece = 64<<10 - 128

	// endSize is the size in bytes of the body of a stream's end: how many bytes there were.
	endSize = 8
)

// A Stream says what a stream is about.
type Stream struct {
	Type string
	Time time.Time // when it was begun, by its sender's clock
	ID   uint64    // the number of the message that opened it
	Data []byte
}

// Limits are the limits of a session that concern its streams.
type Limits struct {
	Window     int // bytes that all streams together may have unread, beyond the first credit of each
	MaxMessage int // bytes of a message
}

// Streams are the streams of one session, in both directions.
type Streams struct {
	session Session
	life    context.Context // the session's; it ends when the connection is closed
	limits  Limits

	mu      sync.Mutex    // guards what follows
	slots   chan struct{} // holds a token for each stream that is sent; made with the first one
	ready   chan struct{} // may hold a token while a stream is waiting; made by accept
	out     map[uint64]*Writer
	in      map[uint64]*arrival
	waiting []*Reader // for Accept
	held    int       // readers that the application has and is not done with

	opened  uint64 // streams, by this end
	cancels uint64 // from the peer
	sent    uint64 // bytes of pieces, by this end
	credits uint64 // from the peer

	lent    uint64 // bytes of the window that the peer's streams take
	telling bool   // a goroutine is sending the credits, cancels and dones that are due
	spare   [][]byte
}

// New returns the streams of a session, none yet. The context has to live as long as the session
// can still send.
func New(s Session, life context.Context, l Limits) *Streams {
	return &Streams{session: s, life: life, limits: l}
}

// Accept waits for the next stream that the peer opens, while the application has fewer than [Max]
// readers that it is not done with. The context is for the life of the stream too. Streams that
// had come before the peer ended the session are returned first.
func (s *Streams) Accept(ctx context.Context) (*Reader, error) {
	s.session.Want()
	defer s.session.Unwant()
	for {
		ended := s.session.Err()
		if ended != nil && !ended.Remote {
			return nil, ended
		}
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if r := s.accept(ended != nil); r != nil {
			r.watch(ctx)
			return r, nil
		}
		if ended != nil {
			return nil, ended
		}
		select {
		case <-s.ready:
		case <-s.session.Done():
		case <-ctx.Done():
		}
	}
}

// accept returns a stream that is waiting. It returns nil if there is none, or if the application
// has Max others to finish first. In a session that is over it need not: no more will come.
func (s *Streams) accept(over bool) *Reader {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ready == nil {
		s.ready = make(chan struct{}, 1)
	}
	if len(s.waiting) == 0 || s.held >= Max && !over {
		return nil
	}
	r := s.waiting[0]
	r.held = true
	s.held++
	if s.waiting = slices.Delete(s.waiting, 0, 1); len(s.waiting) > 0 && s.held < Max {
		s.wake()
	}
	r.from.accepted = true
	s.tellIfDue(r.from)
	return r
}

// wake has Accept look again. The caller holds mu.
func (s *Streams) wake() {
	select {
	case s.ready <- struct{}{}:
	default:
	}
}

// release says that the application is done with a reader. The context of Accept, which may live
// much longer, then no longer keeps it.
func (s *Streams) release(r *Reader) {
	s.mu.Lock()
	unwatch := s.releaseLocked(r)
	s.mu.Unlock()
	unwatch()
}

// releaseLocked is release for a caller that holds mu. It returns a function that must be called
// without locks: it runs code of the context, which may be the application's.
func (s *Streams) releaseLocked(r *Reader) (unwatch func() bool) {
	unwatch = func() bool { return false }
	if !r.held {
		return unwatch
	}
	r.held = false
	if r.unwatch != nil {
		unwatch, r.unwatch = r.unwatch, nil
	}
	if s.held--; len(s.waiting) > 0 {
		s.wake()
	}
	return unwatch
}

// Any reports whether the peer has streams under way.
func (s *Streams) Any() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.in) > 0
}

// slotsOut returns the channel that holds a token for each stream that this end sends.
func (s *Streams) slotsOut() chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.slots == nil {
		s.slots = make(chan struct{}, Max)
	}
	return s.slots
}

// register adds a stream of this end's that is about to be opened. The caller holds mu.
func (s *Streams) register(w *Writer, number uint64) {
	if s.out == nil {
		s.out = map[uint64]*Writer{}
	}
	s.out[number] = w
	s.opened++
	w.id = number
}

// freeSlot gives the slot of a stream back if it is over at both ends. The caller holds mu.
func (s *Streams) freeSlot(w *Writer) {
	if w.ended && w.dropped {
		delete(s.out, w.id)
		w.release()
	}
}

// forget drops a stream that this end has given up.
func (s *Streams) forget(w *Writer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.out, w.id)
	w.release()
}

// countSent counts bytes that are about to be sent.
func (s *Streams) countSent(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sent += uint64(n)
}
