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

// idleReader is how long nobody may be receiving before the session reads by itself. A conversation in
// which each answer follows its question never starts that goroutine, and takes half the time.
const idleReader = 50 * time.Millisecond

// Receive appends the body of the next message to dst and sets m to the rest. A bare receiver takes only
// messages without a type; every other message before that is refused. Here and below, m is the caller's
// memory: a goroutine waits in here for most of its life, and each copy on the way would make its stack
// deeper.
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

// receiveDone ends a Receive. If a Want is not undone, the session goes on reading by itself.
func (f *Flow) receiveDone() {
	if f.receivers.Add(-1) == 0 && f.wanted.Load() > 0 {
		f.Pump()
	}
}

// takes reports whether a message is for the receiver. If it is not, takes has it served or refused.
func (f *Flow) takes(m *Incoming, bare bool) bool {
	switch {
	case m.Kind == engine.KindMessage && (m.Type == "" || !bare):
		f.received.Add(1)
		f.hand(*m)
		return true
	case m.Kind == engine.KindRequest && f.Inbox.served.Load(): // the Serve began after this Receive
		f.request(*m)
	default:
		f.Refuse(*m, fault.RefusedType)
	}
	return false
}

// nextMessage appends a message from the Inbox, or reads one, or waits while another goroutine reads.
func (f *Flow) nextMessage(ctx context.Context, dst []byte, m *Incoming) ([]byte, error) {
	for {
		if f.Over() && !f.err.Remote {
			return dst, f.err // closed at this end, which gives up the messages that came before
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
		if f.Inbox.any() { // the goroutine that had the turn has read one
			f.leave(&f.recv)
			continue
		}
		out, err := f.readMessage(ctx, dst, m)
		f.leave(&f.recv)
		if err != errUnlinked {
			return out, err
		}
		if err := ctx.Err(); err != nil { // reading with an ended context has cost the line
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
		dst = out[:len(dst)] // keeps the memory, if out has grown
		if m.Number > 0 {
			start := len(dst)
			dst = append(dst, m.Body...)
			m.Body = dst[start:]
			return dst, nil
		}
	}
}

// hand counts a message that goes to the application.
func (f *Flow) hand(m Incoming) {
	if f.spool != nil {
		f.spool.hand(m)
		f.alarm.set(time.Now().Add(idleReader)) // no ack is due that would set the alarm
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
