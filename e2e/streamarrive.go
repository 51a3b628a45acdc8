package e2e

import (
	"bytes"
	"encoding/binary"

	"github.com/hopseal/hopseal/internal/engine"
)

// stream does what a message of a stream says, whose body is somebody else's memory. The
// other end itself has made it, so one that cannot be ends the session.
func (s *Session) stream(m incoming) error {
	defer s.schedule() // of an ack
	var ok bool
	switch m.Kind {
	case engine.KindStreamOpen:
		ok = s.streamOpens(m)
	case engine.KindStreamCancel:
		ok = s.streamCancelled(m)
	default:
		ok = s.streamGoesOn(m)
	}
	if !ok {
		return s.fail(&CloseError{Remote: true, Err: ErrMisbehaved})
	}
	return nil
}

func (s *Session) streamOpens(m incoming) bool {
	if len(m.body) > MaxStreamMetadata {
		return false
	}
	m.body = bytes.Clone(m.body)
	r := &StreamReader{
		Stream:  Stream{m.Type, m.Time, m.number, m.body},
		session: s, total: -1, opened: m, some: make(chan struct{}), unwatch: func() bool { return true },
	}
	t := &s.streams
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.in == nil {
		t.in = map[uint64]*StreamReader{}
	}
	if len(t.in) >= MaxStreams {
		return false
	}
	if s.keeper != nil { // it would not go on after a restart
		t.in[m.number] = nil
		s.consumed(m)
		s.cancelStream(m.number)
		return true
	}
	t.in[m.number] = r
	t.waiting = append(t.waiting, r)
	t.wake()
	return true
}

// streamCancelled is for a stream of this end's that the other one does not want. One that
// is over may be cancelled too, but none twice by the same process.
func (s *Session) streamCancelled(m incoming) bool {
	t := &s.streams
	t.mu.Lock()
	w := t.out[m.Answers]
	t.cancels++
	ok := len(m.body) == 0 && m.Answers > 0 && m.Answers <= s.engine.Sent() && t.cancels <= s.answersTo(t.opened)
	t.mu.Unlock()
	if ok && w != nil {
		w.cancelled()
	}
	return ok
}

// streamGoesOn is for a piece or the end of a stream of the other end's.
func (s *Session) streamGoesOn(m incoming) bool {
	t := &s.streams
	t.mu.Lock()
	r, known := t.in[m.Answers]
	if m.Kind != engine.KindStreamPiece {
		delete(t.in, m.Answers)
	}
	t.mu.Unlock()
	if !known {
		if s.keeper != nil { // it may be from before a restart
			s.consumed(m)
		}
		return s.keeper != nil
	}
	switch m.Kind {
	case engine.KindStreamPiece:
		if len(m.body) == 0 {
			return false
		}
		if r != nil {
			m.body = t.copyOf(m.body)
		}
		if r == nil || !r.put(m) {
			s.consumed(m)
		}
	case engine.KindStreamEnd:
		s.consumed(m)
		if len(m.body) != streamEndSize {
			return false
		}
		if r != nil && !r.complete(binary.BigEndian.Uint64(m.body)) {
			return false
		}
	case engine.KindStreamAbort:
		if len(m.body) != 0 {
			return false
		}
		if r != nil && t.leave(r) { // nobody has seen it
			s.consumed(r.opened)
		}
		if r != nil {
			r.end(&StreamError{Remote: true}, true)
		}
	}
	return true
}
