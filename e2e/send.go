package e2e

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/hopseal/hopseal/e2e/internal/fault"
	"github.com/hopseal/hopseal/internal/engine"
	"github.com/hopseal/hopseal/transport"
)

// Send hands one message to the session, which is not to say that it has arrived: see
// [Session.Flush]. It waits while the other end does not keep up, and while there is
// no connection. The caller may use message again afterwards. An empty message is a
// message.
//
// A context that ends before Send has begun to write changes nothing. One that ends
// later costs the connection, because a message that may have been sent cannot be
// taken back: a session that has no other ends, and else keeps the message, to send it
// again on the next one, and Send returns nil. With a [Options.Store] it returns once the
// message is stored, and for that a store has [Options.SendTimeout], whatever the context says:
// the message may be stored. Messages that are sent at the same time are stored in one go. Errors: the context's; one that matches
// [ErrTooLarge], after which the session goes on; [*CloseError].
func (s *Session) Send(ctx context.Context, message []byte) error {
	return s.submit(ctx, &outgoing{body: message})
}

// SendMessage is [Session.Send] for a message with a type, which says to the other end
// what it is, see [Message]. It returns the message's ID; where the other end refuses the
// message, [Options.Refused] is told so.
func (s *Session) SendMessage(ctx context.Context, typ string, data []byte) (id uint64, err error) {
	m := &outgoing{Header: engine.Header{Type: typ}, body: data}
	err = s.submit(ctx, m)
	return m.number, err
}

// outgoing is a message on its way out.
type outgoing struct {
	engine.Header // without its Time
	body          []byte
	waits         numberer // what waits for its number, if anything does
	debt          *debt    // that it settles, if it answers a request
	number        uint64   // once it is sealed

	signed *signed // nil: it is not
}

// A numberer is told the number of its message before any of that is written: what follows from
// the message may come at once.
type numberer interface{ Numbered(number uint64) }

// submit sends a message, now or when there is room and a line.
func (s *Session) submit(ctx context.Context, m *outgoing) error {
	if len(m.body) > s.party.cfg.MaxMessage {
		return fmt.Errorf("e2e: send: %w: %d bytes, at most %d", ErrTooLarge, len(m.body), s.party.cfg.MaxMessage)
	}
	if !engine.ValidType(m.Type) {
		return fmt.Errorf("e2e: send: %w", fault.ErrType)
	}
	if s.spool != nil {
		kept := *m // so that m stays on its caller's stack
		err := s.sendStored(ctx, &kept)
		m.number = kept.number
		return err
	}
	err := s.sendOnce(ctx, m)
	if mustWait(err) {
		return s.sendLater(ctx, m)
	}
	return err
}

// sendNow sends a message, or returns an error after which it mustWait, and has changed
// nothing. What control records are due follow it.
func (s *Session) sendNow(ctx context.Context, m *outgoing) error {
	if err := s.enter(ctx, &s.send); err != nil {
		return err
	}
	defer s.leaveSend()
	if s.closing() {
		return s.finished()
	}
	l := s.line.Load()
	if l == nil {
		return errUnlinked
	}
	now := time.Now()
	switch {
	case !s.signs(m.Kind):
		m.Time = now
	case m.signed.as(s.engine.Sent() + 1):
		m.Time = m.signed.at
	case s.engine.Room(m.Kind):
		return errUnsigned
	default:
		return cmp.Or(s.writeControl(ctx, l, now), engine.ErrBlocked)
	}
	var header [engine.MaxHeader]byte
	frame, err := l.link.Seal(now, s.send.frame[:0], append(m.Append(header[:0]), m.signed.bytes()...), m.body)
	switch {
	case errors.Is(err, engine.ErrFinished):
		return s.finished()
	case err != nil && !errors.Is(err, engine.ErrBlocked):
		return s.lose(l, broken(err))
	case err != nil:
		return cmp.Or(s.writeControl(ctx, l, now), err)
	}
	s.numbered(m, l.link.Sent())
	if m.Kind == engine.KindRequest || m.Kind >= engine.KindStreamOpen {
		ctx = context.WithoutCancel(ctx) // which from here on is for the answer or the stream, not for the network
	}
	failed := s.writePieces(ctx, l, now, frame)
	if failed == errUnlinked {
		return nil // it is among those that are sent again
	}
	return failed
}

// numbered gives a message its number, and tells who waits for that.
func (s *Session) numbered(m *outgoing, number uint64) {
	m.number = number
	switch {
	case m.waits != nil:
		m.waits.Numbered(number)
	case m.debt != nil:
		s.inbox.settled(m.debt)
	}
}

// writePieces writes a message of which the first frame is given. Control records go
// between its pieces, so that a long message on a slow line starves nobody of acks. It
// is called under send.
func (s *Session) writePieces(ctx context.Context, l *line, now time.Time, frame []byte) error {
	for {
		s.limits.touch(now)
		s.send.frame = frame
		if err := s.write(ctx, l, now, frame); err != nil {
			return err
		}
		more := l.link.Unfinished()
		if more {
			now = time.Now() // the frame may have taken long
		}
		if err := s.writeControl(ctx, l, now); err != nil || !more {
			return err
		}
		if s.over() { // whoever closed wants to say so
			return s.err
		}
		var err error
		if frame, err = l.link.Next(now, s.send.frame[:0]); err != nil {
			return s.lose(l, broken(err))
		}
		if len(frame) == 0 { // another line has taken this one's place
			return errUnlinked
		}
	}
}

// within returns the context for the connection. The session's own life ends behind
// that, so there is no need to watch it, which would cost as much as a small message.
func (s *Session) within(ctx context.Context) context.Context {
	if ctx == s.life {
		return context.Background()
	}
	return ctx
}

// write hands one frame to the connection. It is called under send.
func (s *Session) write(ctx context.Context, l *line, now time.Time, frame []byte) error {
	if s.spool != nil {
		if err := s.spool.records.Sync(); err != nil && !s.overInStore(err) {
			return s.unkept(err)
		}
		now = time.Now()
	}
	s.stalled.begin(now)
	err := l.conn.Write(s.within(ctx), frame)
	s.stalled.end()
	if err != nil {
		l.drop(true)
		s.rest(l, err)
		return s.lose(l, fault.Cut(ctx, err))
	}
	return nil
}

// rest reads what had come before the other end closed the connection: its last words,
// perhaps, which are as good as if nobody had tried to answer. It is called under send.
func (s *Session) rest(l *line, err error) {
	closed := new(transport.CloseError)
	if !errors.As(err, &closed) || !closed.Remote {
		return
	}
	for s.line.Load() == l && s.pumpOne() == nil {
	}
}

// writeControl writes the control records that are due. It is called under send.
func (s *Session) writeControl(ctx context.Context, l *line, now time.Time) error {
	for s.due(now) {
		frame, err := l.link.Control(now, s.send.frame[:0])
		switch {
		case errors.Is(err, engine.ErrSilent):
			return s.lose(l, &CloseError{Remote: true, Err: ErrSilent})
		case err != nil:
			return s.lose(l, broken(err))
		case len(frame) == 0:
			return nil
		}
		if err := s.write(ctx, l, time.Now(), frame); err != nil {
			return err
		}
	}
	return nil
}

// deadline returns when a control record is due on the line that there is, or the zero
// time. The engine speaks of its own link: where that is another one already, the line
// is about to be replaced, and whoever looks after it must not try again and again.
func (s *Session) deadline() time.Time {
	l := s.line.Load()
	if l == nil || s.over() {
		return time.Time{}
	}
	return l.link.Deadline()
}

// due reports whether a control record is.
func (s *Session) due(now time.Time) bool {
	deadline := s.deadline()
	return !deadline.IsZero() && !deadline.After(now)
}

// leaveSend gives the turn back. What became due while it was taken is looked after.
func (s *Session) leaveSend() {
	s.leave(&s.send)
	if !s.over() {
		s.schedule()
	}
}

// control has the control records written that are due, without waiting: a
// receiver that waited for a full connection could not empty it at its own end. If
// the turn is taken, whoever has it looks after them.
func (s *Session) control() {
	select {
	case s.send.turn <- struct{}{}:
	default:
		return
	}
	go func() {
		defer s.leaveSend()
		if l := s.line.Load(); l != nil && !s.over() {
			s.writeControl(context.Background(), l, time.Now())
		}
	}()
}

// Flush waits until every message sent before has arrived at the other end's
// session. That is not to say that its application has received them: only an
// answer of its own says that.
//
// A context that ends while Flush waits changes nothing. Errors: the context's, or
// a [*CloseError].
func (s *Session) Flush(ctx context.Context) error { return s.arrived(ctx, s.engine.Sent()) }
