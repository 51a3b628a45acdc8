package flow

import (
	"context"
	"errors"
)

// lane is one direction's lock, which gives way to a context, and its buffers.
type lane struct {
	turn  chan struct{} // holds a token while the lane is in use
	frame []byte        // memory for one frame, which is a piece of a message at most
	seen  string        // type of the last message received
	plain []byte        // memory for what the pump reads, while there are streams
	begun []byte        // what has come of a message on the lines before
	moved uint64        // how far what this end sends had got when the peer last told
}

func newLane() lane { return lane{turn: make(chan struct{}, 1)} }

// enter waits for the lane's turn. Nothing has changed if it returns an error.
func (f *Flow) enter(ctx context.Context, h *lane) error { return f.enterOr(ctx, h, nil) }

// errOther is returned by enterOr and linked when there was something in other first.
var errOther = errors.New("e2e: something else came first")

// enterOr is enter that gives up with errOther when there is something in other.
func (f *Flow) enterOr(ctx context.Context, h *lane, other <-chan struct{}) error {
	if f.Over() {
		return f.err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	select {
	case h.turn <- struct{}{}: // free: the usual case, and by itself the cheap one
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

// leaveSend gives the turn to send back, and has what became due meanwhile looked after.
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
