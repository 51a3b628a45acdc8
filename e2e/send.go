package e2e

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/hopseal/hopseal/internal/engine"
)

// Send seals one message and hands it to the connection, which is not to say that
// it has arrived: see [Session.Flush]. It waits while the other end does not keep
// up. The caller may use message again afterwards. An empty message is a message.
//
// A context that ends before Send has begun to write changes nothing; one that ends
// later ends the session, because a message that may have been sent cannot be
// taken back. Errors: the context's; one that matches [ErrTooLarge], after which
// the session goes on; [*CloseError].
func (s *Session) Send(ctx context.Context, message []byte) error {
	if len(message) > s.info.MaxMessage {
		return fmt.Errorf("e2e: send: %w: %d bytes, at most %d", ErrTooLarge, len(message), s.info.MaxMessage)
	}
	err := s.sendNow(ctx, message)
	if errors.Is(err, engine.ErrBlocked) {
		return s.sendLater(ctx, message)
	}
	return err
}

// sendLater waits until the other end has made room. It does not keep its turn
// meanwhile: acks have to pass, or two ends that both send would wait for ever.
func (s *Session) sendLater(ctx context.Context, message []byte) error {
	patience := time.NewTimer(s.sendTimeout)
	defer patience.Stop()
	for {
		news := s.news.next()
		if err := s.sendNow(ctx, message); !errors.Is(err, engine.ErrBlocked) {
			return err
		}
		s.pump()
		select {
		case <-news:
		case <-patience.C:
			s.stall()
		case <-s.ended:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// sendNow sends message, or returns an error that matches engine.ErrBlocked and has
// changed nothing. What control records are due follow it.
func (s *Session) sendNow(ctx context.Context, message []byte) error {
	if err := s.enter(ctx, &s.send); err != nil {
		return err
	}
	defer s.leaveSend()
	now := time.Now()
	frame, err := s.link.Seal(now, s.send.frame[:0], message)
	if err != nil && !errors.Is(err, engine.ErrBlocked) {
		return s.fail(&CloseError{Err: err})
	}
	if err == nil {
		s.send.keep(frame)
		if err := s.write(ctx, frame); err != nil {
			return err
		}
	}
	if failed := s.writeControl(ctx, now); failed != nil {
		return failed
	}
	return err
}

// write hands one frame to the connection. It is called under send.
func (s *Session) write(ctx context.Context, frame []byte) error {
	s.stalled.Reset(s.sendTimeout)
	defer s.stalled.Stop()
	if err := s.conn.Write(ctx, frame); err != nil {
		return s.fail(cut(ctx, err))
	}
	return nil
}

// writeControl writes the control records that are due. It is called under send.
func (s *Session) writeControl(ctx context.Context, now time.Time) error {
	for s.due(now) {
		frame, err := s.link.Control(now, s.send.frame[:0])
		switch {
		case errors.Is(err, engine.ErrSilent):
			return s.fail(&CloseError{Remote: true, Err: ErrSilent})
		case err != nil:
			return s.fail(&CloseError{Err: err})
		case len(frame) == 0:
			return nil
		}
		if err := s.write(ctx, frame); err != nil {
			return err
		}
	}
	return nil
}

// due reports whether a control record is.
func (s *Session) due(now time.Time) bool {
	deadline := s.engine.Deadline()
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
		if !s.over() {
			s.writeControl(context.Background(), time.Now())
		}
	}()
}

// Flush waits until every message sent before has arrived at the other end's
// session. That is not to say that its application has received them: only an
// answer of its own says that.
//
// A context that ends while Flush waits changes nothing. Errors: the context's, or
// a [*CloseError], after which nobody knows what has arrived.
func (s *Session) Flush(ctx context.Context) error {
	for last := s.engine.Sent(); ; {
		news := s.news.next()
		if s.engine.Acked() >= last {
			return nil
		}
		if s.over() {
			return s.err
		}
		s.engine.Ask()
		s.control()
		s.pump()
		select {
		case <-news:
		case <-s.ended:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// stall ends a session whose other end takes nothing.
func (s *Session) stall() { s.fail(&CloseError{Remote: true, Err: ErrStalled}) }

// news wakes everybody who waits for some.
type news struct {
	mu sync.Mutex
	ch chan struct{} // nil while nobody waits
}

// next returns what is closed by the next tell. Who looks at the state after next
// misses nothing.
func (n *news) next() <-chan struct{} {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.ch == nil {
		n.ch = make(chan struct{})
	}
	return n.ch
}

func (n *news) tell() {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.ch != nil {
		close(n.ch)
		n.ch = nil
	}
}
