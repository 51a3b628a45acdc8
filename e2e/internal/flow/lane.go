package flow

import (
	"context"
	"errors"
)

// lane is one direction's lock and its buffers. Waiting for the lock ends with a context.
type lane struct {
	turn  chan struct{} // holds a token while the lane is in use
	frame []byte        // memory for one frame, which is a piece of a message at most
	seen  string        // type of the last message received
	plain []byte        // memory for what the pump reads, while there are streams
	begun []byte        // the part of a message that came on earlier lines
	moved uint64        // the engine's SendProgress after the peer's last acknowledgement
}

func newLane() lane { return lane{turn: make(chan struct{}, 1)} }

// enter waits for the lane's turn. Nothing has changed if it returns an error.
func (f *Flow) enter(ctx context.Context, h *lane) error { return f.enterOr(ctx, h, nil) }

// errOther is returned by enterOr and linked if other was ready first.
var errOther = errors.New("e2e: something else came first")

// enterOr is enter, but returns errOther once other is ready.
func (f *Flow) enterOr(ctx context.Context, h *lane, other <-chan struct{}) error {
	if f.Over() {
		return f.err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	select {
	case h.turn <- struct{}{}: // free: the usual case; a select of one case is cheap
	default:
		select {
		case h.turn <- struct{}{}:
		case <-other:
			return errOther
		case <-f.ended:
			return f.err
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	if f.Over() {
		f.leave(h)
		return f.err
	}
	return nil
}

// leave gives the turn back.
func (f *Flow) leave(h *lane) {
	<-h.turn
	if f.hungUp.Load() {
		f.forget()
	}
}

// leaveSend gives the turn to send back, and schedules what became due meanwhile.
func (f *Flow) leaveSend() {
	f.leave(&f.send)
	if !f.Over() {
		f.Schedule()
	}
}

// forget drops the keys of a session that has hung up. The keys of a lane that is in use are
// dropped by its user when it leaves.
func (f *Flow) forget() {
	l := f.line.Load()
	for _, h := range []*lane{&f.send, &f.recv} {
		select {
		case h.turn <- struct{}{}:
			if l != nil {
				l.drop(h == &f.send)
			}
			h.frame, h.plain, h.begun = nil, nil, nil
			<-h.turn
		default:
		}
	}
}
