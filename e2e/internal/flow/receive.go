package flow

import (
	"context"
	"errors"
	"time"

	"github.com/hopseal/hopseal/e2e/internal/fault"
	"github.com/hopseal/hopseal/internal/engine"
)

// ErrServing is returned by Receive while somebody serves the session.
var ErrServing = errors.New("e2e: the session is served already")

// idleReader is how long nobody may be receiving before the session reads by itself. A conversation
// in which each answer follows its question does without the goroutine, and with half the time for
// each.
const idleReader = 50 * time.Millisecond

// Receive appends the body of the next message to dst and sets m to the rest. A bare receiver takes
// messages of no type only; every other message before it is refused. Here and below, m is the
// caller's memory: a goroutine waits for most of its life down there, and each copy on the way
// would make its stack deeper.
func (f *Flow) Receive(ctx context.Context, dst []byte, bare bool, m *Incoming) ([]byte, error) {
	f.receivers.Add(1)
	defer f.receiveDone()
	if f.spool != nil {
		f.spool.askedBehind()
	}
	for {
		if f.Inbox.served.Load() {
			return dst, ErrServing
		}
		out, err := f.nextMessage(ctx, dst, m)
		if err != nil {
			return dst, err
		}
		if f.takes(m, bare) {
			return out, nil
		}
	}
}

// receiveDone ends a Receive. If somebody else waits for what may come, the session reads by
// itself.
func (f *Flow) receiveDone() {
	if f.receivers.Add(-1) == 0 && f.wanted.Load() > 0 {
		f.Pump()
	}
}

// takes reports whether a message is for whoever receives. Otherwise the message is served or
// refused.
func (f *Flow) takes(m *Incoming, bare bool) bool {
	switch {
	case m.Kind == engine.KindMessage && (m.Type == "" || !bare):
		f.received.Add(1)
		f.hand(*m)
		return true
	case m.Kind == engine.KindRequest && f.Inbox.served.Load(): // since the Receive began to wait
		f.request(*m)
	default:
		f.Refuse(*m, fault.RefusedType)
	}
	return false
}

// nextMessage appends a message that was read ahead, or reads one, or waits for whoever is reading.
func (f *Flow) nextMessage(ctx context.Context, dst []byte, m *Incoming) ([]byte, error) {
	for {
		if f.Over() && !f.err.Remote {
			return dst, f.err // closed here: what came before it is not wanted any more
		}
		if f.Inbox.Take(m) {
			return append(dst, m.Body...), nil
		}
		err := f.linked(ctx, f.Inbox.some)
		if err == nil {
			err = f.enterOr(ctx, &f.recv, f.Inbox.some)
		}
		switch {
		case err == errOther:
			continue
		case err != nil && f.Inbox.any():
			continue
		case err != nil:
			return dst, err
		}
		if f.Inbox.any() { // by whoever had the turn
			f.leave(&f.recv)
			continue
		}
		out, err := f.readMessage(ctx, dst, m)
		f.leave(&f.recv)
		if err != errUnlinked {
			return out, err
		}
		if err := ctx.Err(); err != nil { // which has cost the line
			return dst, err
		}
	}
}

// readMessage reads up to the next message and appends its body. The caller holds f.recv.
func (f *Flow) readMessage(ctx context.Context, dst []byte, m *Incoming) ([]byte, error) {
	for {
		out, err := f.readWhole(ctx, dst, m)
		if err != nil {
			return dst, err
		}
		dst = out[:len(dst)] // with what memory there is by now
		if m.Number > 0 {
			start := len(dst)
			dst = append(dst, m.Body...)
			m.Body = dst[start:]
			return dst, nil
		}
	}
}

// hand counts a message that the application is given.
func (f *Flow) hand(m Incoming) {
	if f.spool != nil {
		f.spool.hand(m)
		f.alarm.set(time.Now().Add(idleReader)) // no ack is due that would set it
	} else {
		f.Consumed(m)
	}
}

// Consumed makes room for another message of the peer.
func (f *Flow) Consumed(m Incoming) {
	if !m.Kind.Free() {
		if f.spool != nil {
			f.engine.ConsumedNumber(time.Now(), m.Number, m.Size)
		} else {
			f.engine.Consumed(time.Now(), m.Size)
		}
		f.Schedule()
	}
}
