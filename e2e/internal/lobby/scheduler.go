package lobby

import (
	"container/list"
	"context"
	"sync"
	"time"
)

// A Stage is how far a handshake has got.
type Stage int

// Stages, in the order in which they are served.
const (
	StageLast    Stage = iota // the last frame has come
	StageResume               // the first frame for a session that there is
	StageFirst                // any other first frame
	stageUpgrade              // a request that is to become a connection
	stages
)

// reservedTurn is how often a turn is kept for one stage after the other, so that all make
// progress, however many are served before them: one in so many.
const reservedTurn = 8

// A scheduler bounds how many handshakes are computed for at a time. Those that are nearest to
// a session come first: under a flood what was begun is finished, and nothing is computed in
// vain for a client that has given up meanwhile.
type scheduler struct {
	mu      sync.Mutex // guards what follows
	free    int
	waiting [stages]list.List // of chan struct{}
	turns   uint
	busy    time.Duration // of all turns that are over
}

// do runs f in a turn. Where it cannot wait any longer it returns the error of the context.
func (d *scheduler) do(ctx context.Context, at Stage, f func()) error {
	if err := d.enter(ctx, at); err != nil {
		return err
	}
	began := time.Now()
	defer func() { d.leave(time.Since(began)) }()
	f()
	return nil
}

func (d *scheduler) enter(ctx context.Context, at Stage) error {
	d.mu.Lock()
	if d.free > 0 {
		d.free--
		d.mu.Unlock()
		return nil
	}
	turn := make(chan struct{})
	mine := d.waiting[at].PushBack(turn)
	d.mu.Unlock()
	select {
	case <-turn:
		return nil
	case <-ctx.Done():
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	select {
	case <-turn: // which came all the same
		d.next()
	default:
		d.waiting[at].Remove(mine)
	}
	return ctx.Err()
}

func (d *scheduler) leave(busy time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.busy += busy
	d.next()
}

// next gives a turn to the foremost stage, or in a reserved turn to the one that it is reserved
// for. The caller holds mu.
func (d *scheduler) next() {
	d.turns++
	first := Stage(0)
	if d.turns%reservedTurn == 0 {
		first = Stage(d.turns/reservedTurn) % stages
	}
	for i := range stages {
		line := &d.waiting[(first+i)%stages]
		if front := line.Front(); front != nil {
			line.Remove(front)
			close(front.Value.(chan struct{}))
			return
		}
	}
	d.free++
}

// line returns how many wait for a turn.
func (d *scheduler) line() (n int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for i := range d.waiting {
		n += d.waiting[i].Len()
	}
	return n
}

// waitingAt returns how many of a stage wait for a turn.
func (d *scheduler) waitingAt(at Stage) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.waiting[at].Len()
}

// spent returns how long all turns took that are over.
func (d *scheduler) spent() time.Duration {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.busy
}
