package e2e

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/hopseal/hopseal/e2e/internal/fault"
	"github.com/hopseal/hopseal/internal/engine"
	"github.com/hopseal/hopseal/transport"
)

const (
	// closeGrace is how long Close waits until everything has arrived.
	closeGrace = 3 * time.Second

	// goodbyeTimeout bounds how long the last frame may take.
	goodbyeTimeout = 2 * time.Second
)

// Close ends the session once the other end has everything that was sent, and tells it,
// in a message that no hop can forge, that nothing is missing. For that it waits five
// seconds at most, over as many connections as it takes; Sends fail from its call on.
//
// Close returns nil where everything is known to have arrived at the other end's session.
// Otherwise the error is a [*CloseError] whose Gap says what may be missing, and the other
// end is told, if it can be told anything, that it has not got everything: it sees
// [CodeIncomplete] or a connection that was cut, and never [io.EOF]. It is the same error
// when Close is called again, and when the session had ended before. A session that is stored
// and not over, see [CloseError.Stored], is not closed: it may go on. Where everything has
// arrived and only the close itself could not be sent, an error says so once.
//
// Behind those five seconds come the end of the connection and, with a [Options.Store], the end
// of the record: a few seconds more where these do not work.
//
// Messages that the other end has sent and that were not received are lost: a protocol in
// which both ends talk should agree on who closes.
func (s *Session) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), closeGrace)
	defer cancel()
	return s.CloseWith(ctx, CodeDone)
}

// CloseWith is [Session.Close] with another code, such as [CodeFailed]: the other end does
// not take what it has got for all. It waits until everything has arrived for as long as
// the context lasts, and not at all with a context that has ended.
func (s *Session) CloseWith(ctx context.Context, code Code) error {
	s.finishOnce.Do(func() { close(s.finishing) })
	last := s.engine.Finish()
	s.news.tell() // whoever waits to send
	s.moved.tell()
	if s.arrived(ctx, last) == nil && s.linked(ctx, nil) == nil {
		s.settle(ctx)
	}
	if code == CodeDone && s.engine.Acked() < last {
		code = CodeIncomplete
	}
	return s.close(code)
}

// settle acknowledges what has arrived, and what the application of a stored session was
// given, ahead of the goodbye: the other end may wait to know, and nothing follows that
// could tell it. It does not wait for a network or a store beyond the context: if they are
// only slow the goodbye still follows.
func (s *Session) settle(ctx context.Context) {
	if s.spool != nil {
		s.spool.askedBehind()
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.settleNow(ctx)
	}()
	select {
	case <-done:
	case <-ctx.Done():
	}
}

func (s *Session) settleNow(ctx context.Context) {
	if s.enter(ctx, &s.send) != nil {
		return
	}
	defer s.leaveSend()
	if l := s.line.Load(); l != nil {
		s.engine.Settle()
		s.writeControl(context.Background(), l, time.Now()) // if it fails, the goodbye does
	}
}

// closing reports whether Close was called: no message is numbered any more.
func (s *Session) closing() bool {
	select {
	case <-s.finishing:
		return true
	default:
		return false
	}
}

// finished is what whoever sends gets once no message is numbered any more.
func (s *Session) finished() error {
	if s.closing() && !s.over() {
		return &CloseError{Code: CodeDone}
	}
	<-s.ended // whoever ends the session has not said so yet
	return s.err
}

func (s *Session) close(code Code) error { return s.closeFor(code, &CloseError{Code: code}) }

// closeFor ends the session, with a word to the other end.
func (s *Session) closeFor(code Code, why *CloseError) error {
	if !s.end(why) {
		return s.incomplete()
	}
	err := s.sayGoodbye(code)
	s.hangUp(transport.CodeNormal)
	if missing := s.incomplete(); missing != nil {
		return missing
	}
	if err != nil {
		return fmt.Errorf("e2e: close: everything has arrived, and the other end could not be told that this is all: %w", err)
	}
	return nil
}

// incomplete returns how the session ended where messages are not known to have arrived, or
// where it has not ended for the other end.
func (s *Session) incomplete() error {
	if gap := s.err.Gap; s.err.Stored || gap != nil && gap.Count > 0 {
		return s.err
	}
	return nil
}

func (s *Session) sayGoodbye(code Code) error {
	ctx, cancel := context.WithTimeout(context.Background(), goodbyeTimeout)
	defer cancel()
	select {
	case s.send.turn <- struct{}{}: // after a Send that is under way
		defer s.leave(&s.send)
	case <-ctx.Done():
		return ctx.Err()
	}
	l := s.line.Load()
	if l == nil {
		return errUnlinked
	}
	if err := s.acknowledge(ctx, l); err != nil {
		return err
	}
	frame, err := s.sealClose(l, code)
	if err != nil {
		return err
	}
	return l.conn.Write(ctx, frame)
}

// sealClose makes the last frame. What is not known to have arrived may still be on its
// way, and then the other end can tell by the frame whether it has all of it. The engine
// does not let that be said where anything was not sent.
func (s *Session) sealClose(l *line, code Code) ([]byte, error) {
	if code == CodeIncomplete {
		frame, err := l.link.SealClose(time.Now(), s.send.frame[:0], engine.CloseDone)
		if !errors.Is(err, engine.ErrUnfinished) {
			return frame, err
		}
	}
	return l.link.SealClose(time.Now(), s.send.frame[:0], engine.CloseCode(code))
}

// acknowledge is settle of a session that is over already. What a stored session
// acknowledges has to be stored, and is not any more. It is called under send.
func (s *Session) acknowledge(ctx context.Context, l *line) error {
	if s.spool != nil {
		return nil
	}
	s.engine.Settle()
	frame, err := l.link.Control(time.Now(), s.send.frame[:0])
	if err != nil || len(frame) == 0 {
		return err
	}
	return l.conn.Write(ctx, frame)
}

// end sets the reason for which the session ended, unless there is one, and
// reports whether it did.
func (s *Session) end(err *CloseError) (first bool) {
	s.endOnce.Do(func() {
		if !err.Stored {
			err.Gap = s.gap(err)
		}
		s.err, first = err, true
		close(s.ended)
		s.events.tell(Event{State: StateClosed, Session: s, Err: err})
	})
	return first
}

// gap concludes what the session sends and returns what may be missing of it, nil where
// this end has closed and nothing is.
func (s *Session) gap(why *CloseError) *GapError {
	first, messages := s.engine.Conclude()
	if len(messages) == 0 && !why.Remote && why.Err == nil && why.Code == CodeDone {
		return nil
	}
	return fault.NewGap(first, messages, s.signs(engine.KindMessage))
}

// fail ends the session without a word to the other end, which after a forgery
// might be anybody, and returns the reason for which it ended.
func (s *Session) fail(why *CloseError) error {
	if s.end(why) {
		code := transport.CodePolicy
		if why.Err == nil {
			code = transport.CodeNormal // the other end has closed
		}
		s.hangUp(code)
	}
	return s.err
}

// hangUp closes the connection of a session that is over, and drops its keys. Not
// earlier: the goodbye needs one.
func (s *Session) hangUp(code transport.Code) {
	if l := s.line.Load(); l != nil {
		l.close(code)
	}
	s.alarm.timer.Stop()
	s.stalled.stop()
	s.limits.stop()
	s.stopRenewal()
	s.follower.end()
	s.hungUp.Store(true)
	s.conclude()
	s.engine.Forget()
	if !s.err.Remote {
		s.inbox.clear()
	}
	s.forget()
	if s.spool != nil {
		s.spool.records.End(s.err.Stored)
	}
}

// goAway ends the session because this program ends. Where it is stored the other end is
// told nothing, and goes on with another program.
func (s *Session) goAway() error {
	if s.spool == nil {
		return s.close(CodeGoingAway)
	}
	s.leaveStored(&CloseError{Code: CodeGoingAway, Stored: true})
	return nil
}

// leaveStored ends this end of a session, which goes on with another program.
func (s *Session) leaveStored(why *CloseError) {
	s.limits.leave(time.Now())
	ctx, cancel := context.WithTimeout(s.life, goodbyeTimeout)
	defer cancel()
	s.spool.records.Save(ctx) // so that what was taken does not come again; if it fails, some does
	if s.end(why) {
		s.hangUp(transport.CodeGoingAway)
	}
}

// forget drops the keys of a session that has hung up. A lane that is in use is
// dropped by its user, when it leaves.
func (s *Session) forget() {
	l := s.line.Load()
	for _, h := range []*lane{&s.send, &s.recv} {
		select {
		case h.turn <- struct{}{}:
			if l != nil {
				l.drop(h == &s.send)
			}
			h.frame, h.plain, h.begun = nil, nil, nil
			<-h.turn
		default:
		}
	}
}
