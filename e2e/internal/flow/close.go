package flow

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/hopseal/hopseal/e2e/internal/fault"
	"github.com/hopseal/hopseal/internal/engine"
	"github.com/hopseal/hopseal/transport"
)

// GoodbyeTimeout bounds how long writing the last frame may take.
const GoodbyeTimeout = 2 * time.Second

// Finish closes the session once the peer has everything that was sent, and tells the peer so. It waits
// for that no longer than the context lasts. After the call of Finish every Submit fails.
func (f *Flow) Finish(ctx context.Context, code fault.Code) error {
	f.finishOnce.Do(func() { close(f.finishing) })
	last := f.engine.Finish()
	f.acked.Tell() // Submits that wait give up
	f.moved.Tell()
	if f.Arrived(ctx, last) == nil && f.linked(ctx, nil) == nil {
		f.acknowledgeAll(ctx)
	}
	if code == fault.CodeDone && f.engine.Acked() < last {
		code = fault.CodeIncomplete
	}
	return f.Close(code)
}

// acknowledgeAll acknowledges what has arrived, and in a stored session what the application was given,
// before the goodbye: the peer may wait for it, and no later frame could tell it. acknowledgeAll waits for
// network and store no longer than the context lasts: if they are only slow, the goodbye still follows.
func (f *Flow) acknowledgeAll(ctx context.Context) {
	if f.spool != nil {
		f.spool.askedBehind()
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		f.writeAcknowledgement(ctx)
	}()
	select {
	case <-done:
	case <-ctx.Done():
	}
}

func (f *Flow) writeAcknowledgement(ctx context.Context) {
	if f.enter(ctx, &f.send) != nil {
		return
	}
	defer f.leaveSend()
	if l := f.line.Load(); l != nil {
		f.engine.AckNow()
		f.writeControl(context.Background(), l, time.Now()) // if this fails, the goodbye fails too
	}
}

// closing reports whether Finish was called: no message is numbered any more.
func (f *Flow) closing() bool {
	select {
	case <-f.finishing:
		return true
	default:
		return false
	}
}

// finished returns the error for a Submit after which no message is numbered any more.
func (f *Flow) finished() error {
	if f.closing() && !f.Over() {
		return &fault.CloseError{Code: fault.CodeDone}
	}
	<-f.ended // the session is ending: f.err is set in a moment
	return f.err
}

// Close ends the session at once, with a code for the peer.
func (f *Flow) Close(code fault.Code) error { return f.CloseFor(code, &fault.CloseError{Code: code}) }

// CloseFor ends the session for a reason, with a code for the peer.
func (f *Flow) CloseFor(code fault.Code, why *fault.CloseError) error {
	if !f.end(why) {
		return f.incomplete()
	}
	err := f.sayGoodbye(code)
	f.hangUp(transport.CodeNormal)
	if missing := f.incomplete(); missing != nil {
		return missing
	}
	if err != nil {
		return fmt.Errorf("e2e: close: everything has arrived, and the other end could not be told that this is all: %w", err)
	}
	return nil
}

// incomplete returns how the session ended if messages are not known to have arrived, or if the
// session has not ended for the peer.
func (f *Flow) incomplete() error {
	if gap := f.err.Gap; f.err.Stored || gap != nil && gap.Count > 0 {
		return f.err
	}
	return nil
}

func (f *Flow) sayGoodbye(code fault.Code) error {
	ctx, cancel := context.WithTimeout(context.Background(), GoodbyeTimeout)
	defer cancel()
	select {
	case f.send.turn <- struct{}{}: // after a message that is being written
		defer f.leave(&f.send)
	case <-ctx.Done():
		return ctx.Err()
	}
	l := f.line.Load()
	if l == nil {
		return errUnlinked
	}
	if err := f.acknowledgeLast(ctx, l); err != nil {
		return err
	}
	frame, err := f.sealClose(l, code)
	if err != nil {
		return err
	}
	return l.Conn.Write(ctx, frame)
}

// sealClose seals the last frame. Messages that are not known to have arrived may still be on their way.
// So even with CodeIncomplete it first tries to seal CloseDone, by which the peer can tell whether it has
// everything. The engine refuses that if some message was not sent.
func (f *Flow) sealClose(l *Line, code fault.Code) ([]byte, error) {
	if code == fault.CodeIncomplete {
		frame, err := l.Link.SealClose(time.Now(), f.send.frame[:0], engine.CloseDone)
		if !errors.Is(err, engine.ErrUnfinished) {
			return frame, err
		}
	}
	return l.Link.SealClose(time.Now(), f.send.frame[:0], engine.CloseCode(code))
}

// acknowledgeLast is acknowledgeAll for a session that is over already. It does nothing for a stored
// session, whose acknowledgements would have to be stored first: nothing is stored any more. The caller
// holds f.send.
func (f *Flow) acknowledgeLast(ctx context.Context, l *Line) error {
	if f.spool != nil {
		return nil
	}
	f.engine.AckNow()
	frame, err := l.Link.Control(time.Now(), f.send.frame[:0])
	if err != nil || len(frame) == 0 {
		return err
	}
	return l.Conn.Write(ctx, frame)
}

// GoAway ends the session because this program ends. If the session is stored, GoAway tells the peer
// nothing: the peer goes on with another program.
func (f *Flow) GoAway() error {
	if f.spool == nil {
		return f.Close(fault.CodeGoingAway)
	}
	f.LeaveStored(&fault.CloseError{Code: fault.CodeGoingAway, Stored: true})
	return nil
}

// LeaveStored ends this end of a session, which goes on with another program.
func (f *Flow) LeaveStored(why *fault.CloseError) {
	f.Limits.leave(time.Now())
	ctx, cancel := context.WithTimeout(f.life, GoodbyeTimeout)
	defer cancel()
	f.spool.records.Save(ctx) // so that messages that were taken do not come again; if Save fails, some do
	if f.end(why) {
		f.hangUp(transport.CodeGoingAway)
	}
}

// Fail ends the session and tells the peer nothing: after a forgery the peer might be anybody. It returns
// why the session ended, which may be an earlier reason.
func (f *Flow) Fail(why *fault.CloseError) error {
	if f.end(why) {
		code := transport.CodePolicy
		if why.Err == nil {
			code = transport.CodeNormal // the peer has closed
		}
		f.hangUp(code)
	}
	return f.err
}
