package e2e

import (
	"bytes"
	"context"
	"errors"
	"time"

	"github.com/hopseal/hopseal/e2e/internal/fault"
	"github.com/hopseal/hopseal/internal/engine"
)

// idleReader is how long nobody may be receiving before the session reads by
// itself. A conversation in which each answer follows its question does without
// the goroutine, and with half the time for each.
const idleReader = 50 * time.Millisecond

// Receive waits for the next message of type "", as [Session.Send] sends it, and refuses
// others, and requests. While nobody receives, the session itself
// reads up to [Options.Window] bytes ahead; then the other end has to wait. What it
// has read before the other end closed or the connection was lost is still
// returned.
//
// With a [Options.Store], asking for the next message says that the application is done with
// those before: only then the other end may forget them. What it was not done with when
// its process ended, it receives again in the next one.
//
// The error is a [*CloseError], or the context's if it had ended before the call.
// A context that ends while Receive waits may cost the connection, and ends a session
// that has no other, so short deadlines are no way to poll. An error that matches
// [io.EOF] says that the other end has sent everything it meant to. While a
// [Session.Serve] is under way the error is [ErrServing].
func (s *Session) Receive(ctx context.Context) ([]byte, error) {
	return s.AppendReceive(ctx, nil)
}

// AppendReceive is [Session.Receive] into the caller's memory: it appends the
// message to dst. With room for the message and 12 % more, or 200 bytes, it allocates
// nothing.
// After an error it returns dst as it was.
func (s *Session) AppendReceive(ctx context.Context, dst []byte) ([]byte, error) {
	var m incoming
	return s.receive(ctx, dst, true, &m)
}

// ReceiveMessage is [Session.Receive] for messages of any type.
func (s *Session) ReceiveMessage(ctx context.Context) (Message, error) {
	var m incoming
	body, err := s.receive(ctx, nil, false, &m)
	if err != nil {
		return Message{}, err
	}
	m.body = body
	return s.message(m), nil
}

// receive appends the body of the next message, of no type if it has to be bare, and
// refuses what comes before it. Here and below, m is the caller's memory: a goroutine waits
// for most of its life down there, and each copy on the way would make its stack deeper.
func (s *Session) receive(ctx context.Context, dst []byte, bare bool, m *incoming) ([]byte, error) {
	s.receivers.Add(1)
	defer s.receiveDone()
	if s.spool != nil {
		s.spool.askedBehind()
	}
	for {
		if s.inbox.served.Load() {
			return dst, ErrServing
		}
		out, err := s.nextMessage(ctx, dst, m)
		if err != nil {
			return dst, err
		}
		if s.takes(m, bare) {
			return out, nil
		}
	}
}

// takes reports whether a message is for whoever receives, and else finds another end
// for it.
func (s *Session) takes(m *incoming, bare bool) bool {
	switch {
	case m.Kind == engine.KindMessage && (m.Type == "" || !bare):
		s.received.Add(1)
		s.hand(*m)
		return true
	case m.Kind == engine.KindRequest && s.inbox.served.Load(): // since the Receive began to wait
		s.request(*m)
	default:
		s.refuse(*m, RefusedType)
	}
	return false
}

// nextMessage appends a message that was read ahead, or reads one, or waits for
// whoever is reading.
func (s *Session) nextMessage(ctx context.Context, dst []byte, m *incoming) ([]byte, error) {
	for {
		if s.over() && !s.err.Remote {
			return dst, s.err // closed here: what came before it is not wanted any more
		}
		if s.inbox.take(m) {
			return append(dst, m.body...), nil
		}
		err := s.linked(ctx, s.inbox.some)
		if err == nil {
			err = s.enterOr(ctx, &s.recv, s.inbox.some)
		}
		switch {
		case err == errOther:
			continue
		case err != nil && s.inbox.any():
			continue
		case err != nil:
			return dst, err
		}
		if s.inbox.any() { // by whoever had the turn
			s.leave(&s.recv)
			continue
		}
		out, err := s.readMessage(ctx, dst, m)
		s.leave(&s.recv)
		if err != errUnlinked {
			return out, err
		}
		if err := ctx.Err(); err != nil { // which has cost the line
			return dst, err
		}
	}
}

// readMessage reads up to the next message and appends its body. It is called under
// recv.
func (s *Session) readMessage(ctx context.Context, dst []byte, m *incoming) ([]byte, error) {
	for {
		out, err := s.readWhole(ctx, dst, m)
		if err != nil {
			return dst, err
		}
		dst = out[:len(dst)] // with what memory there is by now
		if m.number > 0 {
			start := len(dst)
			dst = append(dst, m.body...)
			m.body = dst[start:]
			return dst, nil
		}
	}
}

// hand counts a message that the application is given.
func (s *Session) hand(m incoming) {
	if s.spool != nil {
		s.spool.hand(m)
		s.alarm.set(time.Now().Add(idleReader)) // no ack is due that would set it
	} else {
		s.consumed(m)
	}
}

// readWhole reads one frame, and where a message begins with it, or has begun, all of that. A
// message is appended to dst, header and body, and returned, unless it answers another one.
// Without one the number is 0. What has come of a message when the line is lost waits for the
// next one. It is called under recv.
func (s *Session) readWhole(ctx context.Context, dst []byte, m *incoming) ([]byte, error) {
	*m = incoming{}
	l := s.line.Load()
	if l == nil {
		return dst, errUnlinked
	}
	within := len(s.recv.begun) > 0
	out, event, err := s.read(ctx, l, append(dst, s.recv.begun...))
	for within = within || event == engine.Part; within && err == nil; within = event != engine.Message {
		out, event, err = s.read(ctx, l, out)
	}
	s.recv.begun = nil
	switch {
	case err == nil && event == engine.Message:
		err = s.parse(l.link.Received(), out[len(dst):], m)
	case err != nil && len(out) > len(dst) && !s.over():
		s.recv.begun = bytes.Clone(out[len(dst):]) // dst may be the caller's
	}
	return out, err
}

// consumed makes room for another message of the other end's.
func (s *Session) consumed(m incoming) {
	if !m.Kind.Free() {
		if s.spool != nil {
			s.engine.Took(time.Now(), m.number, m.size)
		} else {
			s.engine.Consumed(time.Now(), m.size)
		}
		s.schedule()
	}
}

// read takes one frame from the connection and does what it says. A message, or a piece
// of one, is appended to dst.
func (s *Session) read(ctx context.Context, l *line, dst []byte) ([]byte, engine.Event, error) {
	frame, err := l.conn.Read(s.within(ctx), s.recv.frame[:0])
	if err != nil {
		l.drop(false)
		return dst, 0, s.lose(l, fault.Cut(ctx, err))
	}
	s.recv.frame = frame
	now := time.Now()
	out, event, err := l.link.Open(now, dst, frame)
	switch {
	case err != nil:
		return dst, 0, s.refused(l, err)
	case event == engine.PeerClose:
		return dst, 0, s.fail(&CloseError{Remote: true, Code: Code(l.link.PeerCode()), Missing: l.link.PeerMissing()})
	case s.over():
		return dst, 0, s.err // closed at this end while the message was on its way
	case event == engine.Acked:
		s.progress(now)
		s.news.tell()
	case event == engine.Asked:
		s.schedule()
	case event == engine.Rekeyed:
		s.renewed()
		l.link.Saved()
		s.schedule()
	case event == engine.Updated:
		go s.decide(l)
	case event == engine.Answered:
		s.answered(l)
	case event == engine.Part:
		s.schedule() // the other end may wait long for the ack of a whole message
		s.limits.touch(now)
	case event == engine.Message:
		s.limits.touch(now)
	}
	return out, event, nil
}

// progress counts what has arrived at the other end as a sign of life of the applications: the
// last byte of a message may leave this end long before it is there. It is called under recv.
func (s *Session) progress(now time.Time) {
	if moved := s.engine.Moved(); moved != s.recv.moved {
		s.recv.moved = moved
		s.limits.touch(now)
	}
}

// parse reads the header of a message. The other end itself has written it, so a bad one
// ends the session. Replies go to whoever waits for them, and the parts of streams to those:
// they leave m empty, as errors do.
func (s *Session) parse(number uint64, message []byte, m *incoming) error {
	h, size, err := engine.ParseHeader(message, s.recv.seen)
	if err != nil {
		return s.fail(&CloseError{Remote: true, Err: ErrMisbehaved})
	}
	s.recv.seen = h.Type
	in := incoming{Header: h, number: number, body: message[size:], size: len(message)}
	if err := s.checkSignature(&in); err != nil {
		return err
	}
	if len(in.body) > s.party.cfg.MaxMessage { // by less than a header could take
		return s.fail(&CloseError{Remote: true, Err: ErrTooLarge})
	}
	if h.Kind == engine.KindAnswer || h.Kind == engine.KindRefusal {
		return s.reply(in)
	}
	if h.Kind >= engine.KindStreamOpen {
		return streamCarrier{s}.deliver(in)
	}
	*m = in
	return nil
}

// refused is the end of a line by one of its records, and of the session where that
// shows the other end itself at fault.
func (s *Session) refused(l *line, err error) error {
	var check *engine.Error
	if !errors.As(err, &check) {
		return s.lose(l, broken(err))
	}
	s.refusals[check.Reason].Add(1)
	switch check.Reason {
	case engine.ReasonCredit, engine.ReasonAck, engine.ReasonRekey, engine.ReasonUpdate, engine.ReasonClose:
		return s.fail(&CloseError{Remote: true, Err: ErrMisbehaved})
	case engine.ReasonLength: // it would come again and again
		return s.fail(&CloseError{Remote: true, Err: ErrTooLarge})
	}
	return s.lose(l, &CloseError{Remote: true, Err: ErrTampered})
}
