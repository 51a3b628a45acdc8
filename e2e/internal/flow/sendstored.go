package flow

import (
	"context"
	"errors"
	"time"

	"github.com/hopseal/hopseal/e2e/internal/signing"
	"github.com/hopseal/hopseal/internal/engine"
)

// A queuedSend is a message that waits to be stored.
type queuedSend struct {
	*Outgoing
	done chan struct{}
	err  error // once done is closed
}

func (q *queuedSend) finish(err error) {
	q.err = err
	close(q.done)
}

func (q *queuedSend) wait() error {
	<-q.done
	return q.err
}

// sendStored sends a message of a stored session. It returns once the message is stored with its number:
// from then on the message arrives, or is in the gap. Whichever goroutine has the turn to send stores the
// messages of all that wait together.
func (f *Flow) sendStored(ctx context.Context, message *Outgoing) error {
	own := *message // a copy here, so that without a store messages stay on the stack
	defer func() { message.Number = own.Number }()
	m := &queuedSend{Outgoing: &own, done: make(chan struct{})}
	f.spool.post(m)
	p := f.patience()
	defer p.timer.Stop()
	for {
		acked, moved := f.acked.Next(), f.moved.Next()
		if f.closing() && f.spool.withdraw(m) {
			return f.finished()
		}
		err := f.tryPosted(ctx, m)
		switch {
		case err == errUnsigned: // it has been signed by now
			continue
		case err == nil || err == errOther:
			return m.wait()
		case mustWait(err):
		case f.spool.withdraw(m):
			return err
		}
		room := moved // a new line may make room too
		if err != errUnlinked {
			room = acked
			f.Pump()
		}
		if done, err := f.awaitRoom(ctx, m, p, room, moved); done {
			return err
		}
	}
}

// tryPosted stores and sends the queued messages. If another goroutine finishes message m before that, it
// returns errOther. If messages have to be signed first, it signs them and returns errUnsigned.
func (f *Flow) tryPosted(ctx context.Context, m *queuedSend) error {
	err := f.enterOr(ctx, &f.send, m.done)
	if err == nil {
		err = f.sendPosted()
		f.leaveSend()
	}
	if err == errUnsigned {
		if err := f.signPosted(ctx, m); err != nil {
			return err
		}
	}
	return err
}

// awaitRoom waits until another try to send message m may work. It reports true if the message is finished,
// or given up.
func (f *Flow) awaitRoom(ctx context.Context, m *queuedSend, p *patience, room, moved <-chan struct{}) (done bool, _ error) {
	select {
	case <-m.done:
		return true, m.err
	case <-room:
		p.answered = true
	case <-moved:
		p.renew()
	case <-p.timer.C:
		if f.line.Load() == nil {
			p.renew()
		} else {
			p.passed()
		}
	case <-f.ended:
		return true, f.spool.giveUp(m, f.err)
	case <-ctx.Done():
		return true, f.spool.giveUp(m, ctx.Err())
	}
	return false, nil
}

// sendPosted stores and sends the queued messages. The caller holds f.send. The error says why some are left
// in the queue.
func (f *Flow) sendPosted() error {
	l := f.line.Load()
	if l == nil {
		return errUnlinked
	}
	now := time.Now()
	taken, left := f.spool.take(now)
	if len(taken) > 0 {
		if err := f.spool.records.Sync(); err != nil {
			err = f.StoreFailed(err)
			for _, m := range taken {
				m.finish(err)
			}
			return err
		}
		f.Limits.touch(now)
		for _, m := range taken {
			m.finish(nil)
		}
	}
	// Sends the messages that were just numbered, and all others that this line has not carried.
	if err := f.sendAgain(l); err != nil && err != errUnlinked {
		return err
	}
	if errors.Is(left, engine.ErrClosed) {
		<-f.ended // the session is ending: f.err is set in a moment
		return f.err
	}
	return left
}

// take numbers as many queued messages as there is room for. A message that has to wait holds back only those
// that need credit: an answer may overtake it.
func (p *spool) take(now time.Time) (taken []*queuedSend, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	var left []*queuedSend
	for i, m := range p.pending {
		if err != nil && !m.Kind.Free() {
			left = append(left, m)
			continue
		}
		switch failed := p.flow.queue(now, m.Outgoing); {
		case failed == nil:
			taken = append(taken, m)
		case mustWait(failed):
			left, err = append(left, m), failed
		case failed == errUnsigned, errors.Is(failed, engine.ErrClosed):
			p.pending = append(left, p.pending[i:]...)
			return taken, failed
		default:
			m.finish(failed)
		}
	}
	p.pending = left
	return taken, err
}

// queue numbers a message, if it need not be signed or is signed for that number.
func (f *Flow) queue(now time.Time, m *Outgoing) error {
	switch m.Time = now; {
	case !signing.Required(f.engine, m.Kind):
	case !f.engine.Room(m.Kind):
		return engine.ErrBlocked
	case !m.signature.IsFor(f.engine.Sent() + 1):
		return errUnsigned
	default:
		m.Time = m.signature.Time
	}
	var header [engine.MaxHeader]byte
	err := f.engine.Queue(now, append(m.Append(header[:0]), m.signature.Bytes()...), m.Body)
	switch {
	case errors.Is(err, engine.ErrFinished):
		return f.finished()
	case err != nil:
		return err
	}
	f.numbered(m, f.engine.Sent())
	return nil
}

// signPosted signs the queued messages for which there is room, so that they can be stored together. While it
// waits for the Signer it has the turn to sign, and no other. It returns errOther once message m is
// finished.
func (f *Flow) signPosted(ctx context.Context, m *queuedSend) error {
	if err := f.enterOr(ctx, f.sign, m.done); err != nil {
		return err
	}
	for {
		next, signature := f.spool.unsigned()
		if next == nil {
			f.leave(f.sign)
			return nil
		}
		err := f.makeSignature(ctx, signature)
		switch {
		case err == nil:
			f.spool.signed(next, signature)
		case ctx.Err() != nil || f.Over():
			return err
		default:
			if f.spool.withdraw(next) {
				next.finish(err)
			}
			return nil // the next goroutine takes the turn
		}
	}
}
