package flow

import (
	"context"
	"errors"
	"time"

	"github.com/hopseal/hopseal/e2e/internal/fault"
	"github.com/hopseal/hopseal/internal/engine"
)

// Schedule has the control records written that are due, now or when they will be.
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

// announce has the peer told if this end's identity is another by now. It is called whenever
// something may be due, and costs next to nothing.
func (f *Flow) announce() {
	if l := f.line.Load(); l != nil && l.told.Load() != f.cfg.Identity.Public() && !f.Over() {
		f.user.Renew()
	}
}

// tick does what is due while nobody calls. It writes control records, and if nobody has received
// since the last time, the session reads.
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

// deadline returns when a control record is due on the session's line, or the zero time. The
// engine speaks of its own link. If that is another one already, the line is about to be replaced,
// and whoever looks after it must not try again and again.
func (f *Flow) deadline() time.Time {
	l := f.line.Load()
	if l == nil || f.Over() {
		return time.Time{}
	}
	return l.Link.Deadline()
}

// due reports whether a control record is.
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

// control has the control records that are due written by another goroutine. It does not wait: a
// receiver that waited for a full connection could not empty it at its own end. If the turn to
// send is taken, whoever has it looks after them.
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
