package flow

import (
	"github.com/hopseal/hopseal/e2e/internal/fault"
	"github.com/hopseal/hopseal/e2e/internal/signing"
	"github.com/hopseal/hopseal/internal/engine"
	"github.com/hopseal/hopseal/transport"
)

// end sets the reason for which the session has ended, unless there is one, and reports whether it
// did.
func (f *Flow) end(why *fault.CloseError) (first bool) {
	f.endOnce.Do(func() {
		if !why.Stored {
			why.Gap = f.gap(why)
		}
		f.err, first = why, true
		close(f.ended)
		f.user.Ended(why)
	})
	return first
}

// gap takes no more messages to send, and returns which messages may be missing. It returns nil if this
// end has closed the session and nothing is missing.
func (f *Flow) gap(why *fault.CloseError) *fault.GapError {
	first, messages := f.engine.Conclude()
	if len(messages) == 0 && !why.Remote && why.Err == nil && why.Code == fault.CodeDone {
		return nil
	}
	return fault.NewGap(first, messages, signing.Required(f.engine, engine.KindMessage))
}

// hangUp closes the connection of a session that is over, and drops its keys. The goodbye, which needs a
// key, comes before.
func (f *Flow) hangUp(code transport.Code) {
	if l := f.line.Load(); l != nil {
		l.close(code)
	}
	f.alarm.timer.Stop()
	f.stalled.stop()
	f.Limits.stop()
	f.user.HungUp()
	f.hungUp.Store(true)
	f.conclude()
	f.engine.Forget()
	if !f.err.Remote {
		f.Inbox.clear()
	}
	f.forget()
	if f.spool != nil {
		f.spool.records.End(f.err.Stored)
	}
}
