package flow

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/hopseal/hopseal/e2e/internal/fault"
	"github.com/hopseal/hopseal/e2e/internal/signing"
	"github.com/hopseal/hopseal/internal/engine"
	"github.com/hopseal/hopseal/transport"
)

// An Outgoing is a message on its way out.
type Outgoing struct {
	engine.Header // without its Time
	Body          []byte
	Waits         Numberer // what waits for the message's number, or nil
	Debt          *Debt    // of the request that the message answers, or nil
	Number        uint64   // set by Submit

	signature *signing.Signature // nil: not signed yet, or need not be
}

// A Numberer learns the number of its message before any of the message is written: the peer's reaction
// may come at once.
type Numberer interface {
	Numbered(number uint64)
}

// Submit sends a message, waiting for room and for a line. It returns when the message is written, or when
// the line was lost while it was, and the next line will send it again. With a store it returns when the
// message is stored.
func (f *Flow) Submit(ctx context.Context, m *Outgoing) error {
	if len(m.Body) > f.cfg.MaxMessage {
		return fmt.Errorf("e2e: send: %w: %d bytes, at most %d", fault.ErrTooLarge, len(m.Body), f.cfg.MaxMessage)
	}
	if !engine.ValidType(m.Type) {
		return fmt.Errorf("e2e: send: %w", fault.ErrType)
	}
	if f.spool != nil {
		kept := *m // so that m stays on its caller's stack
		err := f.sendStored(ctx, &kept)
		m.Number = kept.Number
		return err
	}
	err := f.sendOnce(ctx, m)
	if mustWait(err) {
		return f.sendLater(ctx, m)
	}
	return err
}

// sendNow sends a message now. If it cannot, it changes nothing and returns an error for which mustWait is
// true. It writes the control records that are due after the message.
func (f *Flow) sendNow(ctx context.Context, m *Outgoing) error {
	if err := f.enter(ctx, &f.send); err != nil {
		return err
	}
	defer f.leaveSend()
	if f.closing() {
		return f.finished()
	}
	l := f.line.Load()
	if l == nil {
		return errUnlinked
	}
	now := time.Now()
	switch {
	case !signing.Required(f.engine, m.Kind):
		m.Time = now
	case m.signature.IsFor(f.engine.Sent() + 1):
		m.Time = m.signature.Time
	case f.engine.Room(m.Kind):
		return errUnsigned
	default:
		return cmp.Or(f.writeControl(ctx, l, now), engine.ErrBlocked)
	}
	var header [engine.MaxHeader]byte
	frame, err := l.Link.Seal(now, f.send.frame[:0], append(m.Append(header[:0]), m.signature.Bytes()...), m.Body)
	switch {
	case errors.Is(err, engine.ErrFinished):
		return f.finished()
	case err != nil && !errors.Is(err, engine.ErrBlocked):
		return f.lose(l, broken(err))
	case err != nil:
		return cmp.Or(f.writeControl(ctx, l, now), err)
	}
	f.numbered(m, l.Link.Sent())
	if m.Kind == engine.KindRequest || m.Kind >= engine.KindStreamOpen {
		ctx = context.WithoutCancel(ctx) // from here on ctx is about the answer or the stream, not about the network
	}
	failed := f.writePieces(ctx, l, now, frame)
	if failed == errUnlinked {
		return nil // the next line sends it again
	}
	return failed
}

// numbered sets a message's number, and calls its Numberer. The caller holds f.send.
func (f *Flow) numbered(m *Outgoing, number uint64) {
	m.Number = number
	switch {
	case m.Waits != nil:
		m.Waits.Numbered(number)
	case m.Debt != nil:
		f.Inbox.settled(m.Debt)
	}
}

// writePieces writes a message, whose first frame is given. It writes control records between the pieces, so
// that acknowledgements do not wait for a long message on a slow line. The caller holds f.send.
func (f *Flow) writePieces(ctx context.Context, l *Line, now time.Time, frame []byte) error {
	for {
		f.Limits.touch(now)
		f.send.frame = frame
		if err := f.write(ctx, l, now, frame); err != nil {
			return err
		}
		more := l.Link.Unfinished()
		if more {
			now = time.Now() // writing the frame may have taken long
		}
		if err := f.writeControl(ctx, l, now); err != nil || !more {
			return err
		}
		if f.Over() { // the goodbye waits for the turn to send
			return f.err
		}
		var err error
		if frame, err = l.Link.Next(now, f.send.frame[:0]); err != nil {
			return f.lose(l, broken(err))
		}
		if len(frame) == 0 { // another line has taken this one's place
			return errUnlinked
		}
	}
}

// within returns the context for a write. It does not watch the session's own life, which would cost as
// much as a small message: the life ends after the connection.
func (f *Flow) within(ctx context.Context) context.Context {
	if ctx == f.life {
		return context.Background()
	}
	return ctx
}

// write writes one frame to the connection. The caller holds f.send.
func (f *Flow) write(ctx context.Context, l *Line, now time.Time, frame []byte) error {
	if f.spool != nil {
		if err := f.spool.records.Sync(); err != nil && !f.overInStore(err) {
			return f.StoreFailed(err)
		}
		now = time.Now()
	}
	f.stalled.begin(now)
	err := l.Conn.Write(f.within(ctx), frame)
	f.stalled.end()
	if err != nil {
		l.drop(true)
		f.readRest(l, err)
		return f.lose(l, fault.Cut(ctx, err))
	}
	return nil
}

// stuck gives up a line that takes no bytes.
func (f *Flow) stuck() {
	if l := f.line.Load(); l != nil {
		f.lose(l, &fault.CloseError{Remote: true, Err: fault.ErrStalled})
	}
}

// readRest, after a failed write, reads what had come before the peer closed the connection. The peer's
// close may be among it, and counts although a write has failed. The caller holds f.send.
func (f *Flow) readRest(l *Line, err error) {
	closed := new(transport.CloseError)
	if !errors.As(err, &closed) || !closed.Remote {
		return
	}
	for f.line.Load() == l && f.pumpOne() == nil {
	}
}
