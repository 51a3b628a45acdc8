package lobby

import (
	"container/list"
	"context"
	"sync"
	"time"
)

// A Stage says how far a handshake has got.
type Stage int

// Stages, in the order in which they are served.
const (
	StageLast    Stage = iota // the last frame has come
	StageResume               // the first frame has come, for an existing session
	StageFirst                // another first frame has come
	stageUpgrade              // a request that is to become a connection
	stages
)

// reservedTurn says that one turn in so many is reserved for the stages in rotation, so that every
// stage makes progress, however many handshakes are in earlier ones.
const reservedTurn = 8

// A scheduler bounds how many handshakes are computed at a time. Those that are nearest to a session
// come first: so under a flood handshakes that have begun are finished, and nothing is computed for
// clients that have given up meanwhile.
type scheduler struct {
	mu      sync.Mutex // guards what follows
	free    int
	waiting [stages]list.List // of chan struct{}
	turns   uint
	busy    time.Duration // how long all turns took that are over
}

// do waits for a turn and runs f in it. If the context ends first, it returns the context's error.
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
	case <-turn: // the turn came at the same time: pass it on
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

// next gives a turn to the first stage in which a handshake waits. A reserved turn goes first to the
// stage for which it is reserved. The caller holds mu.
func (d *scheduler) next() {
	d.turns++
	first := Stage(0)
	if d.turns%reservedTurn == 0 {
		first = Stage(d.turns/reservedTurn) % stages
	}
	for i := range stages {
		queue := &d.waiting[(first+i)%stages]
		if front := queue.Front(); front != nil {
			queue.Remove(front)
			close(front.Value.(chan struct{}))
			return
		}
	}
	d.free++
}

// queued returns how many wait for a turn.
func (d *scheduler) queued() (n int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for i := range d.waiting {
		n += d.waiting[i].Len()
	}
	return n
}

// waitingAt returns how many in a stage wait for a turn.
func (d *scheduler) waitingAt(at Stage) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.waiting[at].Len()
}

// spent returns how long all finished turns took.
func (d *scheduler) spent() time.Duration {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.busy
}
