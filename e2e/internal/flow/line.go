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

// A Line is one connection of a session, with its keys. Whoever uses its link has the flow's turn to send
// or to receive.
type Line struct {
	Conn      transport.Conn
	Link      *engine.Link
	hop       engine.Hop
	announced atomic.Pointer[keys.PublicIdentity] // this end's identity, as the peer last learned it on the line

	once sync.Once
	gone chan struct{} // closed when the connection is
}

// A Hop is what is known of the connection under a session.
type Hop struct {
	Transport transport.Info
	TLS       engine.Hop // what the ends have found out about the TLS of the connection
}

// NewLine makes a line of a connection whose handshake is done.
func NewLine(conn transport.Conn, link *engine.Link, hop engine.Hop) *Line {
	if c, ok := conn.(interface{ Watch(heard func() time.Time) }); ok {
		c.Watch(link.LastHeard)
	}
	l := &Line{Conn: conn, Link: link, hop: hop, gone: make(chan struct{})}
	l.announced.Store(link.Announced())
	return l
}

// Gone returns a channel that is closed when the connection is.
func (l *Line) Gone() <-chan struct{} { return l.gone }

// Announced records that this end has sent the peer its identity on the line.
func (l *Line) Announced(who *keys.PublicIdentity) { l.announced.Store(who) }

// close closes the connection, so that reads and writes return. It takes at most a few seconds.
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

// errUnlinked says that the session has no line now, or has just lost it. Submit and Receive never return
// it: they wait for another line.
var errUnlinked = errors.New("e2e: the session has no connection now")

// Use makes l the session's line.
func (f *Flow) Use(l *Line) {
	f.hop.Store(&Hop{l.Conn.Info(), l.hop})
	f.line.Store(l)
}

// Linked waits for a line.
func (f *Flow) Linked(ctx context.Context) error { return f.linked(ctx, nil) }

// linked is Linked, but returns errOther once other is ready.
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

// lose gives a line up. It returns errUnlinked if the session goes on, else how the session has ended.
func (f *Flow) lose(l *Line, why *fault.CloseError) error {
	if !f.survives {
		return f.Fail(why)
	}
	if f.Over() { // the goodbye may still have to be sent on the line
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

// retire takes l from the session, and reports whether l was the session's line. It closes the connection
// with the same code whatever the reason.
func (f *Flow) retire(l *Line) bool {
	if !f.line.CompareAndSwap(l, nil) {
		return false
	}
	f.moved.Tell()
	go func() {
		l.close(transport.CodePolicy)
		for _, h := range []*lane{&f.send, &f.recv} {
			select {
			case h.turn <- struct{}{}: // else whoever has the turn drops the keys after its error
				l.drop(h == &f.send)
				f.leave(h)
			default:
			}
		}
		f.Schedule() // others may have given up while retire had the turn
	}()
	return true
}

// errOvertaken is why a line is lost after its client has come back on another.
var errOvertaken = errors.New("the client came back on another connection")

// LeaveOld gives up the line that the session had before the engine committed to another link. The old
// line is of no use any more, even if the client never learns of the commit.
func (f *Flow) LeaveOld() {
	if old := f.line.Load(); old != nil && old.Link != f.engine.Link() {
		f.lose(old, &fault.CloseError{Remote: true, Err: fault.Truncated(errOvertaken)})
	}
}

// Attach gives the session a line to which the engine has committed. If another line has overtaken it, or
// the session is over, Attach closes the line. Otherwise it sends an acknowledgement, which must be first,
// and then sends again what has not arrived.
//
// Attach has the turn to send meanwhile, so nobody sends new messages before that is done. Reading begins
// at once, or two ends that both have much to send again would wait for each other.
func (f *Flow) Attach(l *Line) {
	if old := f.line.Load(); old != nil && old.Link != f.engine.Link() {
		f.retire(old) // ends a write on it, which has the turn
	}
	if !f.overtake(l) {
		l.close(transport.CodePolicy)
		if !f.Over() {
			f.user.Found(nil) // tells a server that there is no line
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

// overtake makes l the session's line, unless it came too late, and reports whether it did. If so, it has
// taken the turn to send.
func (f *Flow) overtake(l *Line) bool {
	if f.enter(context.Background(), &f.send) != nil {
		return false
	}
	if f.engine.Link() != l.Link {
		f.leave(&f.send)
		return false
	}
	if old := f.line.Load(); old != nil { // it came too late for Attach to see it
		f.retire(old)
	}
	f.Use(l)
	switch { // checks again: a change since the checks above may have missed this line
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

// sendAgain writes the first frames of a line: an acknowledgement, and everything that has not arrived.
// The caller holds f.send.
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

// broken returns how a line ends after an error of the engine: another link has taken its place, or it has
// no records left.
func broken(err error) *fault.CloseError {
	if errors.Is(err, engine.ErrClosed) {
		return &fault.CloseError{Remote: true, Err: fault.Truncated(err)}
	}
	return &fault.CloseError{Err: err}
}
