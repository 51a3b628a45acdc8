package streams

import (
	"bytes"

	"github.com/hopseal/hopseal/internal/engine"
)

// Deliver takes a message of a stream. It reports false for one that no honest peer sends: the
// peer itself made it, not a hop, so the session must end.
func (s *Streams) Deliver(m Incoming) bool {
	switch m.Kind {
	case engine.KindStreamOpen:
		return s.deliverOpen(m)
	case engine.KindStreamCancel, engine.KindStreamDone:
		return s.deliverLast(m)
	case engine.KindStreamCredit:
		return s.deliverCredit(m)
	case engine.KindStreamAbort:
		return s.deliverAbort(m)
	}
	return s.deliverData(m)
}

// deliverOpen puts a new stream in line for Accept. A stored end refuses it, since it would not go
// on after a restart.
func (s *Streams) deliverOpen(m Incoming) bool {
	if len(m.Body) > MaxMetadata {
		return false
	}
	a := &arrival{granted: firstCredit}
	if s.session.Stored() {
		a.opening, a.owed = opening{m.Number, m.Size}, engine.KindStreamCancel
	} else {
		a.reader = newReader(s, a, Stream{m.Type, m.Time, m.Number, bytes.Clone(m.Body)})
		s.session.Consumed(m.Number, m.Size) // there are few of these, and the rest is bounded by the stream's credit
	}
	return s.add(m.Number, a)
}

// add registers a stream of the peer's. It reports false if there are too many.
func (s *Streams) add(id uint64, a *arrival) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.in) >= Max {
		return false
	}
	if s.in == nil {
		s.in = map[uint64]*arrival{}
	}
	if s.in[id] = a; a.reader != nil {
		s.waiting = append(s.waiting, a.reader)
		s.wake()
	}
	s.tellIfDue(a)
	return true
}

// deliverData takes a piece of a stream, or its end.
func (s *Streams) deliverData(m Incoming) bool {
	r, ok := s.countData(m)
	if !ok || r == nil {
		return ok
	}
	if m.Kind == engine.KindStreamPiece {
		r.put(m.Body)
	} else {
		r.complete()
	}
	return true
}

// countData counts a piece, or notes the end. It returns the reader that takes it, if there is
// one.
func (s *Streams) countData(m Incoming) (*Reader, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	a := s.in[m.Answers]
	if a == nil {
		return nil, s.session.Stored() // the stream may be from before a restart
	}
	r := a.reader
	if m.Kind == engine.KindStreamPiece {
		return r, a.addPiece(len(m.Body))
	}
	return r, s.complete(m.Answers, a, m.Body)
}

// deliverAbort ends a stream that its sender has given up.
func (s *Streams) deliverAbort(m Incoming) bool {
	a, r, ok := s.abort(m)
	if a == nil {
		return ok
	}
	s.acknowledgeOpening(a)
	if ok && r != nil {
		r.abort()
	}
	return ok
}

// abort forgets a stream. It returns nil if there is none.
func (s *Streams) abort(m Incoming) (*arrival, *Reader, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	a := s.in[m.Answers]
	if a == nil {
		return nil, nil, s.session.Stored() // the stream may be from before a restart
	}
	r, ok := a.reader, len(m.Body) == 0 && !a.ended
	s.drop(a)
	delete(s.in, m.Answers)
	return a, r, ok
}

// deliverLast takes the peer's last message about a stream of this end's: it has read all of it,
// or does not want it. A stream that is over may be cancelled too, but a process of the peer's
// cancels none twice.
func (s *Streams) deliverLast(m Incoming) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	w, cancel := s.out[m.Answers], m.Kind == engine.KindStreamCancel
	switch {
	case len(m.Body) > 0 || !s.wasSent(m.Answers):
		return false
	case !cancel && (w == nil || !w.ended):
		return false
	case cancel:
		if s.cancels++; s.cancels > s.session.AnswersTo(s.opened) {
			return false
		}
	}
	if w != nil {
		if w.dropped = true; cancel {
			w.abortByPeer()
		}
		s.freeSlot(w)
	}
	return true
}

// wasSent reports whether this end has sent a message with a number.
func (s *Streams) wasSent(number uint64) bool { return number > 0 && number <= s.session.Sent() }
