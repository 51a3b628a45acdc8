package flow

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

// A Line is one connection of a session, with the keys that are good on it. Its link is used under
// the flow's turns to send and to receive.
type Line struct {
	Conn transport.Conn
	Link *engine.Link
	hop  engine.Hop
	told atomic.Pointer[keys.PublicIdentity] // who this end is, as the peer was told on the line

	once sync.Once
	gone chan struct{} // closed when the connection is
}

// A Hop is what is known of the connection under a session.
type Hop struct {
	Transport transport.Info
	TLS       engine.Hop // what the ends have found out about the TLS of the connection
}

// NewLine makes a line of a connection behind its handshake.
func NewLine(conn transport.Conn, link *engine.Link, hop engine.Hop) *Line {
	if c, ok := conn.(interface{ Watch(heard func() time.Time) }); ok {
		c.Watch(link.LastHeard)
	}
	l := &Line{Conn: conn, Link: link, hop: hop, gone: make(chan struct{})}
	l.told.Store(link.Announced())
	return l
}

// Gone returns a channel that is closed when the connection is.
func (l *Line) Gone() <-chan struct{} { return l.gone }

// Told records that the peer was told on the line who this end is now.
func (l *Line) Told(who *keys.PublicIdentity) { l.told.Store(who) }

// close frees whoever reads or writes. It takes a few seconds at most.
func (l *Line) close(code transport.Code) {
	l.once.Do(func() {
		l.Conn.Close(code, "")
		close(l.gone)
	})
}

// drop forgets the keys of one direction.
func (l *Line) drop(send bool) {
	if send {
		l.Link.DropSend()
	} else {
		l.Link.DropReceive()
	}
}

// errUnlinked says that the session has no line now, or that the one just used is lost. It reaches
// no caller of Submit or Receive: they wait.
var errUnlinked = errors.New("e2e: the session has no connection now")

// Use makes l the session's line.
func (f *Flow) Use(l *Line) {
	f.hop.Store(&Hop{l.Conn.Info(), l.hop})
	f.line.Store(l)
}

// Linked waits for a line.
func (f *Flow) Linked(ctx context.Context) error { return f.linked(ctx, nil) }

// linked is Linked that gives up with errOther when there is something in other.
func (f *Flow) linked(ctx context.Context, other <-chan struct{}) error {
	if f.line.Load() != nil && !f.Over() { // the usual case
		return nil
	}
	for {
		moved := f.moved.Next()
		switch {
		case f.Over():
			return f.err
		case f.line.Load() != nil:
			return nil
		}
		select {
		case <-moved:
		case <-other:
			return errOther
		case <-f.ended:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// lose gives a line up. It returns how the session has ended if it has, and errUnlinked if the
// session goes on.
func (f *Flow) lose(l *Line, why *fault.CloseError) error {
	if !f.survives {
		return f.Fail(why)
	}
	if f.Over() { // whoever ended the session may still have a word to say on the line
		return f.err
	}
	if f.retire(l) {
		f.user.Lost(why)
	}
	if f.Over() {
		return f.err
	}
	return errUnlinked
}

// retire takes l from the session, and reports whether it was there. The peer is told the same
// whatever the reason.
func (f *Flow) retire(l *Line) bool {
	if !f.line.CompareAndSwap(l, nil) {
		return false
	}
	f.moved.Tell()
	go func() {
		l.close(transport.CodePolicy)
		for _, h := range []*lane{&f.send, &f.recv} {
			select {
			case h.turn <- struct{}{}: // else its user drops the keys with the error that it gets
				l.drop(h == &f.send)
				f.leave(h)
			default:
			}
		}
		f.Schedule() // the turn was taken for a moment
	}()
	return true
}

// errOvertaken is why a line is lost whose client has come back on another.
var errOvertaken = errors.New("the client came back on another connection")

// LeaveOld gives up the line that the session had before the engine committed to another link.
// Nothing comes of the old line any more, even if the client never hears of the commit.
func (f *Flow) LeaveOld() {
	if old := f.line.Load(); old != nil && old.Link != f.engine.Link() {
		f.lose(old, &fault.CloseError{Remote: true, Err: fault.Truncated(errOvertaken)})
	}
}

// Attach gives the session a line that the engine has committed to. If another line has overtaken
// it, or the session is over, it closes the line. Behind the acknowledgement that must be first it
// sends again what has not arrived.
//
// Lines follow one another because each takes the turn to send: nobody sends on this one before
// what has not arrived is sent again. Reading begins at once, or two ends that both have much to
// send again would wait for each other.
func (f *Flow) Attach(l *Line) {
	if old := f.line.Load(); old != nil && old.Link != f.engine.Link() {
		f.retire(old) // frees the turn, if somebody writes
	}
	if !f.overtake(l) {
		l.close(transport.CodePolicy)
		if !f.Over() {
			f.user.Found(nil) // a server has to know that there is no line
		}
		return
	}
	defer f.leaveSend()
	f.user.Found(l.Conn)
	f.alarm.set(time.Now().Add(idleReader))
	if f.wanted.Load() > 0 {
		f.Pump()
	}
	if f.sendAgain(l) == nil {
		f.acked.Tell()
	}
}

// overtake makes l the session's line, if it may. Then it has taken the turn to send.
func (f *Flow) overtake(l *Line) bool {
	if f.enter(context.Background(), &f.send) != nil {
		return false
	}
	if f.engine.Link() != l.Link {
		f.leave(&f.send)
		return false
	}
	if old := f.line.Load(); old != nil { // which was too late to be seen by Attach
		f.retire(old)
	}
	f.Use(l)
	switch { // whoever changed what was true above may have been too early to see this line
	case f.engine.Link() != l.Link:
		f.retire(l)
		fallthrough
	case f.Over():
		f.leave(&f.send)
		return false
	}
	f.moved.Tell()
	return true
}

// sendAgain writes what an end begins a line with. The caller holds f.send.
func (f *Flow) sendAgain(l *Line) error {
	for {
		if err := f.writeControl(context.Background(), l, time.Now()); err != nil {
			return err
		}
		if f.Over() {
			return f.err
		}
		frame, err := l.Link.Next(time.Now(), f.send.frame[:0])
		if err != nil {
			return f.lose(l, broken(err))
		}
		if len(frame) == 0 {
			return nil
		}
		f.send.frame = frame
		if err := f.write(context.Background(), l, time.Now(), frame); err != nil {
			return err
		}
	}
}

// broken is the end of a line for a reason in the engine: another line has taken its place, or it
// has no records left.
func broken(err error) *fault.CloseError {
	if errors.Is(err, engine.ErrClosed) {
		return &fault.CloseError{Remote: true, Err: fault.Truncated(err)}
	}
	return &fault.CloseError{Err: err}
}
