package e2e

import (
	"container/list"
	"context"
	"sync"
	"time"
)

// A stage is how far a handshake is.
type stage int

// Stages, in the order in which they are served.
const (
	stageLast     stage = iota // the last frame has come
	stageResume                // the first frame for a session that there is
	stageStranger              // any other first frame
	stageDoor                  // a request that wants to become a connection
	stages
)

// turnsBehind is in how many turns one is kept for each stage in rotation, so that all come
// on, whatever there is before them.
const turnsBehind = 8

// A desk is where a server computes for handshakes, so many at a time. Those that are furthest
// come first: under a flood what is begun is finished, and nothing is computed in vain for
// a client that has given up meanwhile. A nil desk computes for everybody at once.
type desk struct {
	mu      sync.Mutex // guards what follows
	free    int
	waiting [stages]list.List // of chan struct{}
	turns   uint
	busy    time.Duration // of all turns that are over
}

// compute runs a function in a turn. Where it cannot wait any longer it returns the error of the
// context.
func (d *desk) compute(ctx context.Context, at stage, f func()) error {
	if d == nil {
		f()
		return nil
	}
	if err := d.enter(ctx, at); err != nil {
		return err
	}
	began := time.Now()
	defer func() { d.leave(time.Since(began)) }()
	f()
	return nil
}

func (d *desk) enter(ctx context.Context, at stage) error {
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

func (d *desk) leave(busy time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.busy += busy
	d.next()
}

// next gives a turn to whoever is furthest, or now and then to whoever is not. It is called
// under mu.
func (d *desk) next() {
	d.turns++
	kept := stage(0)
	if d.turns%turnsBehind == 0 {
		kept = stage(d.turns/turnsBehind) % stages
	}
	for i := range stages {
		line := &d.waiting[(kept+i)%stages]
		if first := line.Front(); first != nil {
			line.Remove(first)
			close(first.Value.(chan struct{}))
			return
		}
	}
	d.free++
}

// line returns how many wait for a turn.
func (d *desk) line() (n int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for i := range d.waiting {
		n += d.waiting[i].Len()
	}
	return n
}

// spent returns how long all turns took that are over.
func (d *desk) spent() time.Duration {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.busy
}
