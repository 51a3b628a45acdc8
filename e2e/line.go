package e2e

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hopseal/hopseal/e2e/internal/fault"
	"github.com/hopseal/hopseal/internal/engine"
	"github.com/hopseal/hopseal/keys"
	"github.com/hopseal/hopseal/transport"
)

// A line is one connection of a session, with the keys that are good on it. Its link
// is used under the session's send and recv.
type line struct {
	conn transport.Conn
	link *engine.Link
	hop  engine.Hop
	told atomic.Pointer[keys.PublicIdentity] // who this end is, as the other was told on it

	once sync.Once
	gone chan struct{} // closed when the connection is
}

// newLine makes a line of a connection behind its handshake.
func newLine(conn transport.Conn, link *engine.Link, hop engine.Hop, cfg config) *line {
	limit(conn, MaxFrame(cfg.MaxMessage))
	if c, ok := conn.(interface{ Watch(heard func() time.Time) }); ok {
		c.Watch(link.Heard)
	}
	l := &line{conn: conn, link: link, hop: hop, gone: make(chan struct{})}
	l.told.Store(link.Told())
	return l
}

// close frees whoever reads or writes. It takes a few seconds at most.
func (l *line) close(code transport.Code) {
	l.once.Do(func() {
		l.conn.Close(code, "")
		close(l.gone)
	})
}

// drop forgets the keys of one direction.
func (l *line) drop(send bool) {
	if send {
		l.link.DropSend()
	} else {
		l.link.DropReceive()
	}
}

// errUnlinked says that the session has no line now, or that the one just used is
// lost. It reaches no caller of Send or Receive: they wait.
var errUnlinked = errors.New("e2e: the session has no connection now")

// use makes l the session's line.
func (s *Session) use(l *line) {
	info := s.Info()
	info.Transport, info.HopTLS = l.conn.Info(), HopTLS(l.hop)
	s.info.Store(&info)
	s.line.Store(l)
}

// linked waits for a line, or gives up with errOther when there is something in
// other.
func (s *Session) linked(ctx context.Context, other <-chan struct{}) error {
	if s.line.Load() != nil && !s.over() { // the usual case
		return nil
	}
	for {
		moved := s.moved.next()
		switch {
		case s.over():
			return s.err
		case s.line.Load() != nil:
			return nil
		}
		select {
		case <-moved:
		case <-other:
			return errOther
		case <-s.ended:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// lose gives a line up. It returns how the session ended, if it did with it, and
// errUnlinked where it goes on.
func (s *Session) lose(l *line, why *CloseError) error {
	if s.lost == nil {
		return s.fail(why)
	}
	if s.over() { // whoever ended it may still have a word to say on the line
		return s.err
	}
	if s.retire(l) {
		s.events.tell(Event{State: StateReconnecting, Session: s, Err: fault.Disconnected(why)})
		s.lost(why)
	}
	if s.over() {
		return s.err
	}
	return errUnlinked
}

// retire takes l from the session, and reports whether it was there. The other end is
// told the same whatever the reason.
func (s *Session) retire(l *line) bool {
	if !s.line.CompareAndSwap(l, nil) {
		return false
	}
	s.moved.tell()
	go func() {
		l.close(transport.CodePolicy)
		for _, h := range []*lane{&s.send, &s.recv} {
			select {
			case h.turn <- struct{}{}: // else its user drops the keys with the error that it gets
				l.drop(h == &s.send)
				s.leave(h)
			default:
			}
		}
		s.schedule() // the turn was taken for a moment
	}()
	return true
}

// errOvertaken is why a line is lost whose client has come back on another.
var errOvertaken = errors.New("the client came back on another connection")

// leaveOld gives up the line that the session had before the engine committed to another
// link. Nothing comes of it any more, also where the client never hears of the commit.
func (s *Session) leaveOld() {
	if old := s.line.Load(); old != nil && old.link != s.engine.Link() {
		s.lose(old, &CloseError{Remote: true, Err: fault.Truncated(errOvertaken)})
	}
}

// attach gives the session a line that the engine has committed to, unless another
// one has overtaken it, or the session is over: then the line is closed. Behind the
// ack that must be first, what has not arrived is sent again.
//
// The turn to send is what makes lines follow one another: nobody sends on this one
// before that is done. Reading begins at once, or two ends that both have much to
// send again would wait for each other.
func (s *Session) attach(l *line) {
	if old := s.line.Load(); old != nil && old.link != s.engine.Link() {
		s.retire(old) // frees the turn, if somebody writes
	}
	if !s.overtake(l) {
		l.close(transport.CodePolicy)
		if !s.over() {
			s.found() // a server has to know that there is no line
		}
		return
	}
	defer s.leaveSend()
	s.found()
	s.alarm.set(time.Now().Add(idleReader))
	if s.wanted.Load() > 0 {
		s.pump()
	}
	s.events.tell(Event{State: StateSecure, Session: s, Transport: l.conn.Info()})
	if s.sendAgain(l) == nil {
		s.news.tell()
	}
}

// overtake makes l the session's line, if it may, and then has taken the turn to
// send.
func (s *Session) overtake(l *line) bool {
	if s.enter(context.Background(), &s.send) != nil {
		return false
	}
	if s.engine.Link() != l.link {
		s.leave(&s.send)
		return false
	}
	if old := s.line.Load(); old != nil { // which was too late to be seen by attach
		s.retire(old)
	}
	s.use(l)
	switch { // whoever changed what was true above may have been too early to see this line
	case s.engine.Link() != l.link:
		s.retire(l)
		fallthrough
	case s.over():
		s.leave(&s.send)
		return false
	}
	s.moved.tell()
	return true
}

// sendAgain writes what an end begins a line with. It is called under send.
func (s *Session) sendAgain(l *line) error {
	for {
		if err := s.writeControl(context.Background(), l, time.Now()); err != nil {
			return err
		}
		if s.over() {
			return s.err
		}
		frame, err := l.link.Next(time.Now(), s.send.frame[:0])
		if err != nil {
			return s.lose(l, broken(err))
		}
		if len(frame) == 0 {
			return nil
		}
		s.send.frame = frame
		if err := s.write(context.Background(), l, time.Now(), frame); err != nil {
			return err
		}
	}
}

// broken is the end of a line for a reason in the engine: another line has taken its
// place, or it has no records left.
func broken(err error) *CloseError {
	if errors.Is(err, engine.ErrClosed) {
		return &CloseError{Remote: true, Err: fault.Truncated(err)}
	}
	return &CloseError{Err: err}
}
