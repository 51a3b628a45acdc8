package e2e

import (
	"context"
	"time"

	"github.com/hopseal/hopseal/internal/engine"
)

// receiveDone is the end of a Receive. If somebody else waits for what may come, the
// session goes on to read by itself.
func (s *Session) receiveDone() {
	if s.receivers.Add(-1) == 0 && s.wanted.Load() > 0 {
		s.pump()
	}
}

// schedule has what is due written, now or when it will be.
func (s *Session) schedule() {
	s.announce()
	deadline := s.deadline()
	if deadline.IsZero() || s.alarm.covers(deadline) {
		return
	}
	if time.Until(deadline) <= 0 {
		s.control()
	} else {
		s.alarm.set(deadline)
	}
}

// tick does what is due while nobody calls: control records are written, and if
// nobody has received since the last time, the session reads.
func (s *Session) tick() {
	s.alarm.clear()
	if s.over() {
		return
	}
	s.remind()
	s.schedule()
	if s.receivers.Load() > 0 {
		return
	}
	if s.received.Swap(0) > 0 && s.wanted.Load() == 0 {
		s.alarm.set(time.Now().Add(idleReader))
		return
	}
	s.pump()
}

// pump reads for as long as nobody receives, so that acks, and the end of the
// session, are noticed. What the other end may send meanwhile is bounded by its
// credit.
func (s *Session) pump() {
	if s.receivers.Load() > 0 || s.over() || s.line.Load() == nil || !s.pumping.CompareAndSwap(false, true) {
		return
	}
	go func() {
		for s.receivers.Load() == 0 && s.pumpOne() == nil {
		}
		s.pumping.Store(false)
		// Somebody may have wanted the pump between its last look and now.
		if s.wanted.Load() > 0 {
			s.pump()
		}
		if !s.over() {
			s.alarm.set(time.Now().Add(idleReader))
		}
	}()
}

func (s *Session) pumpOne() error {
	ctx := context.Background()
	if err := s.enter(ctx, &s.recv); err != nil {
		return err
	}
	defer s.leave(&s.recv)
	var m incoming
	out, err := s.readWhole(ctx, s.recv.plain[:0], &m)
	s.recv.plain = nil
	switch {
	case err == nil && m.number == 0 && s.streams.Any():
		s.recv.plain = out[:0] // nobody keeps it
		return nil
	case err != nil || m.number == 0:
		return err
	case m.Kind == engine.KindRequest:
		s.request(m)
	default:
		s.inbox.put(m)
	}
	s.schedule()
	return nil
}
