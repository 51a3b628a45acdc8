package flow

import (
	"context"
	"errors"
	"time"

	"github.com/hopseal/hopseal/e2e/internal/fault"
	"github.com/hopseal/hopseal/internal/engine"
)

// mustWait reports whether a message was not sent, but may be later.
func mustWait(err error) bool { return errors.Is(err, engine.ErrBlocked) || err == errUnlinked }

// sendLater waits until the peer has made room, or there is a line again, and then sends the message. It does
// not keep the turn to send meanwhile: acks have to pass, or two ends that both send would wait for ever. A
// peer has to make room within SendTimeout while there is a line. Half of that time is for finding out
// whether the peer is there.
func (f *Flow) sendLater(ctx context.Context, m *Outgoing) error {
	p := f.patience()
	defer p.timer.Stop()
	for {
		acked, moved := f.acked.Next(), f.moved.Next()
		err := f.sendOnce(ctx, m)
		switch {
		case !mustWait(err):
			return err
		case err == errUnlinked:
			if err := f.linked(ctx, f.finishing); err != nil && err != errOther {
				return err
			}
			p.renew()
			continue
		}
		f.Pump()
		select {
		case <-acked:
			p.answered = true
		case <-moved:
			p.renew()
		case <-p.timer.C:
			p.passed()
		case <-f.ended:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// patience limits how long a message waits for the peer to make room. SendTimeout has two halves.
type patience struct {
	flow     *Flow
	timer    *time.Timer // for one half
	asked    bool        // this is the second half
	answered bool        // the peer has answered in this half
	moved    uint64      // the engine's SendProgress when this half began
	came     uint64      // its ReceiveProgress then
	behind   uint64      // the ReceiveProgress by which the answer to the ask must have come
}

func (f *Flow) patience() *patience {
	return &patience{flow: f, timer: time.NewTimer(f.cfg.SendTimeout / 2), moved: f.engine.SendProgress(), came: f.engine.ReceiveProgress()}
}

// renew starts again on another line.
func (p *patience) renew() {
	p.asked = false
	p.timer.Reset(p.flow.cfg.SendTimeout / 2)
}

// passed is called at the end of each half. While other messages or pieces arrive at the peer, this message
// only waits behind them. After the first half without that, passed asks the peer. While the peer's messages
// come, its answer may be behind those that were already under way, which the windows bound.
func (p *patience) passed() {
	f := p.flow
	moved, came := f.engine.SendProgress(), f.engine.ReceiveProgress()
	switch {
	case moved != p.moved:
		p.asked = false
	case p.asked && (p.answered || came == p.came || came > p.behind):
		f.stall(p.answered)
	case !p.asked:
		f.engine.Ask()
		f.control()
		p.asked, p.behind = true, came+uint64(4*f.cfg.Window+2*f.cfg.MaxMessage)
	}
	p.moved, p.came, p.answered = moved, came, false
	p.timer.Reset(f.cfg.SendTimeout / 2)
}

// stall is called when the peer has made no room in time. If the peer answers and takes nothing, the session
// ends. If it does not answer, only the line ends: the peer may have made room, and the line may lose
// everything in one direction without anybody noticing.
func (f *Flow) stall(answers bool) {
	why := &fault.CloseError{Remote: true, Err: fault.ErrStalled}
	if l := f.line.Load(); l != nil && !answers {
		f.lose(l, why)
		return
	}
	f.Fail(why)
}

// Arrived waits until every message through last has arrived at the peer.
func (f *Flow) Arrived(ctx context.Context, last uint64) error {
	for {
		acked, moved := f.acked.Next(), f.moved.Next()
		if f.engine.Acked() >= last {
			return nil
		}
		if f.Over() {
			return f.err
		}
		if err := f.awaitAnswer(ctx, acked, moved); err != nil {
			return err
		}
	}
}

// awaitAnswer asks the peer what has arrived there, and waits until something has changed. The caller got
// both channels before it looked.
func (f *Flow) awaitAnswer(ctx context.Context, acked, moved <-chan struct{}) error {
	f.engine.Ask()
	f.control()
	f.Pump()
	select {
	case <-acked:
	case <-moved: // the ask may have been lost with the line
	case <-f.ended:
	case <-ctx.Done():
		return ctx.Err()
	}
	return nil
}
