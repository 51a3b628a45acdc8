package e2e

import (
	"bytes"
	"encoding/binary"
	"io"

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
	case engine.KindStreamCancel, engine.KindStreamDone:
		ok = s.streamDropped(m)
	case engine.KindStreamCredit:
		ok = s.credited(m)
	default:
		ok = s.streamGoesOn(m)
	}
	if !ok {
		return s.fail(&CloseError{Remote: true, Err: ErrMisbehaved})
	}
	return nil
}

// streamOpens has a new stream wait for whoever accepts it. At an end that is stored it is
// refused, since it would not go on after a restart.
func (s *Session) streamOpens(m incoming) bool {
	if len(m.body) > MaxStreamMetadata {
		return false
	}
	a := &arrival{granted: streamCredit}
	if s.keeper != nil {
		a.opened, a.owed = incoming{Header: m.Header, number: m.number, size: m.size}, engine.KindStreamCancel
	} else {
		a.reader = &StreamReader{
			Stream:  Stream{m.Type, m.Time, m.number, bytes.Clone(m.body)},
			session: s, from: a, some: make(chan struct{}), unwatch: func() bool { return true },
		}
		s.consumed(m) // it is one of few, and what follows needs the credit of the stream
	}
	return s.addStream(m.number, a)
}

// addStream has a stream wait, unless there are too many.
func (s *Session) addStream(id uint64, a *arrival) bool {
	t := &s.streams
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.in) >= MaxStreams {
		return false
	}
	if t.in == nil {
		t.in = map[uint64]*arrival{}
	}
	if t.in[id] = a; a.reader != nil {
		t.waiting = append(t.waiting, a.reader)
		t.wake()
	}
	s.look(a)
	return true
}

// streamDropped is for a stream of this end's of which the other one has nothing any more:
// it does not want it, or has read all of it. One that is over may be cancelled too, but
// none twice by the same process.
func (s *Session) streamDropped(m incoming) bool {
	t := &s.streams
	t.mu.Lock()
	defer t.mu.Unlock()
	w := t.out[m.Answers]
	switch {
	case len(m.body) > 0 || !s.mayName(m.Answers):
		return false
	case m.Kind == engine.KindStreamDone && (w == nil || !w.ended):
		return false
	case m.Kind == engine.KindStreamCancel:
		if t.cancels++; t.cancels > s.answersTo(t.opened) {
			return false
		}
	}
	if w != nil {
		if w.dropped = true; m.Kind == engine.KindStreamCancel {
			w.cancelled()
		}
		t.part(w)
	}
	return true
}

// streamGoesOn is for a piece or the end of a stream of the other end's.
func (s *Session) streamGoesOn(m incoming) bool {
	t := &s.streams
	t.mu.Lock()
	a := t.in[m.Answers]
	if a == nil {
		t.mu.Unlock()
		return s.keeper != nil // it may be from before a restart
	}
	r, ok := a.reader, false
	switch m.Kind {
	case engine.KindStreamPiece:
		ok = a.comes(len(m.body))
	case engine.KindStreamEnd:
		ok = s.ends(a, m)
	case engine.KindStreamAbort:
		ok = len(m.body) == 0 && !a.ended
		t.drop(a)
		delete(t.in, m.Answers)
	}
	t.mu.Unlock()
	if m.Kind == engine.KindStreamAbort {
		s.openSettled(a)
	}
	if ok && r != nil {
		r.goesOn(m)
	}
	return ok
}

// comes counts bytes of a stream that have come, or reports that it may not have so many,
// or none. It is called under mu.
func (a *arrival) comes(n int) bool {
	if n == 0 || a.ended || uint64(n) > a.granted-a.came {
		return false
	}
	a.came += uint64(n)
	return true
}

// ends completes a stream, or reports that it is not complete. It is called under mu.
func (s *Session) ends(a *arrival, m incoming) bool {
	t := &s.streams
	if a.ended || len(m.body) != streamEndSize || binary.BigEndian.Uint64(m.body) != a.came {
		return false
	}
	a.ended = true
	t.lent -= a.lent()
	if a.granted = a.came; a.reader == nil {
		a.taken = a.came
	}
	t.lent += a.lent()
	if a.reader == nil && a.owed == 0 { // the sender knows
		delete(t.in, m.Answers)
	}
	s.look(a)
	return true
}

// goesOn takes a piece or the end of the stream.
func (r *StreamReader) goesOn(m incoming) {
	switch m.Kind {
	case engine.KindStreamPiece:
		r.put(m.body)
	case engine.KindStreamEnd:
		r.end(io.EOF, false)
	case engine.KindStreamAbort:
		r.end(&StreamError{Remote: true}, true)
	}
}
