package flow

import (
	"context"
	"time"

	"github.com/hopseal/hopseal/internal/engine"
)

// Want makes the session read by itself until Unwant has been called as often. Without a Want the session
// reads by itself only if nobody has received for a while.
func (f *Flow) Want() {
	f.wanted.Add(1)
	f.Pump()
}

// Unwant undoes one Want.
func (f *Flow) Unwant() { f.wanted.Add(-1) }

// Pump reads while nobody receives, so that acks and the end of the session are noticed. Its credit bounds
// what the peer may send meanwhile.
func (f *Flow) Pump() {
	if f.receivers.Load() > 0 || f.Over() || f.line.Load() == nil || !f.pumping.CompareAndSwap(false, true) {
		return
	}
	go f.pump()
}

func (f *Flow) pump() {
	for f.receivers.Load() == 0 && f.pumpOne() == nil {
	}
	f.pumping.Store(false)
	// Want may have been called after the pump's last look.
	if f.wanted.Load() > 0 {
		f.Pump()
	}
	if !f.Over() {
		f.alarm.set(time.Now().Add(idleReader))
	}
}

// pumpOne reads one frame, or one whole message, and keeps a message for the application.
func (f *Flow) pumpOne() error {
	ctx := context.Background()
	if err := f.enter(ctx, &f.recv); err != nil {
		return err
	}
	defer f.leave(&f.recv)
	var m Incoming
	out, err := f.readWhole(ctx, f.recv.plain[:0], &m)
	f.recv.plain = nil
	switch {
	case err == nil && m.Number == 0 && f.user.Streaming():
		f.recv.plain = out[:0] // the memory is free again
		return nil
	case err != nil || m.Number == 0:
		return err
	case m.Kind == engine.KindRequest:
		f.request(m)
	default:
		f.Inbox.put(m)
	}
	f.Schedule()
	return nil
}
