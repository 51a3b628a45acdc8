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

// GoodbyeTimeout bounds how long the last frame may take.
const GoodbyeTimeout = 2 * time.Second

// Finish closes the session once the peer has everything that was sent, and tells the peer so. It
// waits for that no longer than the context lasts. Submits fail from its call on.
func (f *Flow) Finish(ctx context.Context, code fault.Code) error {
	f.finishOnce.Do(func() { close(f.finishing) })
	last := f.engine.Finish()
	f.acked.Tell() // whoever waits to send
	f.moved.Tell()
	if f.Arrived(ctx, last) == nil && f.linked(ctx, nil) == nil {
		f.acknowledgeAll(ctx)
	}
	if code == fault.CodeDone && f.engine.Acked() < last {
		code = fault.CodeIncomplete
	}
	return f.Close(code)
}

// acknowledgeAll acknowledges what has arrived, and what the application of a stored session was
// given, ahead of the goodbye: the peer may wait to know, and nothing follows that could tell it.
// It does not wait for a network or a store beyond the context: if they are only slow the goodbye
// still follows.
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
		f.writeControl(context.Background(), l, time.Now()) // if it fails, the goodbye does
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

// finished is the error of whoever sends once no message is numbered any more.
func (f *Flow) finished() error {
	if f.closing() && !f.Over() {
		return &fault.CloseError{Code: fault.CodeDone}
	}
	<-f.ended // whoever ends the session has not said so yet
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

// sealClose makes the last frame. What is not known to have arrived may still be on its way, and
// then the peer can tell by the frame whether it has all of it. The engine does not let that be
// said if anything was not sent.
func (f *Flow) sealClose(l *Line, code fault.Code) ([]byte, error) {
	if code == fault.CodeIncomplete {
		frame, err := l.Link.SealClose(time.Now(), f.send.frame[:0], engine.CloseDone)
		if !errors.Is(err, engine.ErrUnfinished) {
			return frame, err
		}
	}
	return l.Link.SealClose(time.Now(), f.send.frame[:0], engine.CloseCode(code))
}

// acknowledgeLast is acknowledgeAll for a session that is over already. What a stored session
// acknowledges has to be stored, and is not any more. The caller holds f.send.
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

// GoAway ends the session because this program ends. If the session is stored the peer is told
// nothing, and goes on with another program.
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
	f.spool.records.Save(ctx) // so that what was taken does not come again; if it fails, some does
	if f.end(why) {
		f.hangUp(transport.CodeGoingAway)
	}
}

// Fail ends the session without a word to the peer, which after a forgery might be anybody. It
// returns the reason for which the session ended.
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
