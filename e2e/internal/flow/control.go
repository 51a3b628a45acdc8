package flow

import (
	"context"
	"errors"
	"time"

	"github.com/hopseal/hopseal/e2e/internal/fault"
	"github.com/hopseal/hopseal/internal/engine"
)

// Schedule writes the control records that are due, and sets the alarm for later ones. It does not wait.
func (f *Flow) Schedule() {
	f.announce()
	deadline := f.deadline()
	if deadline.IsZero() || f.alarm.covers(deadline) {
		return
	}
	if time.Until(deadline) <= 0 {
		f.control()
	} else {
		f.alarm.set(deadline)
	}
}

// announce calls User.Renew if this end's identity has changed since the peer last learned it. It is
// called whenever something may be due, and costs next to nothing.
func (f *Flow) announce() {
	if l := f.line.Load(); l != nil && l.announced.Load() != f.cfg.Identity.Public() && !f.Over() {
		f.user.Renew()
	}
}

// tick does what is due while nobody calls. It writes control records. If nobody has received since the
// last tick, it starts the pump.
func (f *Flow) tick() {
	f.alarm.clear()
	if f.Over() {
		return
	}
	f.user.Tick()
	f.Schedule()
	if f.receivers.Load() > 0 {
		return
	}
	if f.received.Swap(0) > 0 && f.wanted.Load() == 0 {
		f.alarm.set(time.Now().Add(idleReader))
		return
	}
	f.Pump()
}

// deadline returns when a control record is due on the session's line, or the zero time. It asks that
// line's link: if the engine already has another link, the line is about to be replaced, nothing is due
// on it, and nobody must try again and again.
func (f *Flow) deadline() time.Time {
	l := f.line.Load()
	if l == nil || f.Over() {
		return time.Time{}
	}
	return l.Link.Deadline()
}

// due reports whether a control record is due.
func (f *Flow) due(now time.Time) bool {
	deadline := f.deadline()
	return !deadline.IsZero() && !deadline.After(now)
}

// writeControl writes the control records that are due. The caller holds f.send.
func (f *Flow) writeControl(ctx context.Context, l *Line, now time.Time) error {
	for f.due(now) {
		frame, err := l.Link.Control(now, f.send.frame[:0])
		switch {
		case errors.Is(err, engine.ErrSilent):
			return f.lose(l, &fault.CloseError{Remote: true, Err: fault.ErrSilent})
		case err != nil:
			return f.lose(l, broken(err))
		case len(frame) == 0:
			return nil
		}
		if err := f.write(ctx, l, time.Now(), frame); err != nil {
			return err
		}
	}
	return nil
}

// control lets another goroutine write the control records that are due. It does not wait: a receiver
// that waited for a full connection could not empty it at its own end. If another goroutine has the turn
// to send, that one writes them.
func (f *Flow) control() {
	select {
	case f.send.turn <- struct{}{}:
	default:
		return
	}
	go func() {
		defer f.leaveSend()
		if l := f.line.Load(); l != nil && !f.Over() {
			f.writeControl(context.Background(), l, time.Now())
		}
	}()
}
