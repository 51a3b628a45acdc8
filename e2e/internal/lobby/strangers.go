package lobby

import (
	"container/list"
	"context"
	"math/bits"
	"time"
)

// strangers are the guests that want a new session, or one that does not exist. There are
// Limits.Handshakes slots for them, and one address gets at most Limits.PerAddress. A stranger that
// finds no slot waits in the line of its address. The lines together have room for Limits.Handshakes
// strangers; if there are more, the first of the longest line is sent away. A stranger loses its slot
// to another if it is silent in its turn for longer than strangers that get in. So peers that stall
// lose their slots, and nobody else does. The lobby's mu guards them.
type strangers struct {
	taken  int // slots in use
	of     map[string]int
	silent silent // strangers with a slot whose turn it is to send

	queued int // in all lines
	lines  map[string]*line
	order  list.List // of *line, in the order of their turns
	timed  bool      // a timer will serve the lines

	patience    time.Duration // how long a stranger may be silent, at least, while others wait for its slot
	maxPatience time.Duration
	slowest     time.Duration // the longest time that an honest client took lately to send
	stallers    int           // how many have lost their slots
}

// A line is where strangers of one address wait for slots.
type line struct {
	address string
	waiting list.List // of *waiter
	turn    *list.Element
}

// A waiter is a stranger in a line.
type waiter struct {
	guest *Guest
	done  chan struct{} // closed when it has a slot, or is sent away
	err   error         // why it is sent away
	line  *line         // nil once done is closed
	entry *list.Element
}

const (
	minPatience = 50 * time.Millisecond
	minWatch    = 20 * time.Millisecond // time between two checks whether a slot can be taken
)

// all returns how many strangers there are, including those in lines.
func (x *strangers) all() int { return x.taken + x.queued }

// Authenticated records that a guest was honest: other strangers may be silent for twice as long as it
// was.
func (g *Guest) Authenticated() {
	if g == nil {
		return
	}
	g.lobby.mu.Lock()
	defer g.lobby.mu.Unlock()
	x := &g.lobby.strangers
	x.slowest = max(g.answer, x.slowest*15/16)
	x.patience = min(max(2*x.slowest, minPatience), x.maxPatience)
}

// patience returns how long a stranger may be silent now while others wait for its slot. Perhaps only
// fast clients have got in so far. So the time is twice as long in every second round in which all
// slots change hands, four times as long in every fourth, and so on.
func (l *Lobby) patience() time.Duration {
	x := &l.strangers
	round := x.stallers/min(l.limits.Handshakes, l.limits.PerAddress) + 1
	return min(x.patience<<min(bits.TrailingZeros(uint(round)), 10), x.maxPatience)
}

// WaitForSlot makes a guest a stranger. It waits for a slot, at most for the given time.
func (g *Guest) WaitForSlot(ctx context.Context, most time.Duration) error {
	if g == nil {
		return nil
	}
	w, err := g.lobby.apply(g)
	if w == nil {
		return err
	}
	late := time.NewTimer(most)
	defer late.Stop()
	select {
	case <-w.done:
	case <-late.C:
	case <-ctx.Done():
	}
	return g.lobby.withdraw(ctx, w)
}

// apply gives a guest a slot, or puts it in line.
func (l *Lobby) apply(g *Guest) (*waiter, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, here := l.guests[g]; !here {
		return nil, g.evicted
	}
	x := &l.strangers
	q := x.lines[g.address]
	switch {
	case q == nil && l.takeSlot(g):
		return nil, nil
	case x.queued >= l.limits.Handshakes:
		l.shorten(q)
	}
	w := x.enqueue(g)
	l.watchLines()
	return w, nil
}

// shorten sends the first of the longest line away. Among equals it prefers the given line.
func (l *Lobby) shorten(longest *line) {
	for _, q := range l.strangers.lines {
		if longest == nil || q.waiting.Len() > longest.waiting.Len() {
			longest = q
		}
	}
	w := longest.waiting.Front().Value.(*waiter)
	w.err = l.busy(l.strangers.queued)
	l.strangers.dequeue(w)
	close(w.done)
}

// withdraw ends a stranger's wait, and returns the result: nil if it has got a slot.
func (l *Lobby) withdraw(ctx context.Context, w *waiter) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if w.line == nil {
		return w.err
	}
	l.strangers.dequeue(w)
	if err := context.Cause(ctx); err != nil {
		return err
	}
	return l.busy(l.strangers.queued)
}

// enqueue puts a guest at the end of the line of its address.
func (x *strangers) enqueue(g *Guest) *waiter {
	q := x.lines[g.address]
	if q == nil {
		q = &line{address: g.address}
		q.turn = x.order.PushBack(q)
		if x.lines == nil {
			x.lines = map[string]*line{}
		}
		x.lines[g.address] = q
	}
	w := &waiter{guest: g, done: make(chan struct{}), line: q}
	w.entry = q.waiting.PushBack(w)
	x.queued++
	return w
}

func (x *strangers) dequeue(w *waiter) {
	q := w.line
	q.waiting.Remove(w.entry)
	w.line = nil
	if x.queued--; q.waiting.Len() == 0 {
		x.order.Remove(q.turn)
		delete(x.lines, q.address)
	}
}

// takeSlot gives a stranger a slot if one is free, or can be taken from another.
func (l *Lobby) takeSlot(g *Guest) bool {
	x := &l.strangers
	switch {
	case g.address != "" && x.of[g.address] >= l.limits.PerAddress:
		if !l.evictStaller(x.silent.longestOf(g.address)) {
			return false
		}
	case x.taken >= l.limits.Handshakes:
		if !l.evictStaller(x.silent.longest()) {
			return false
		}
	}
	if x.of == nil {
		x.of = map[string]int{}
	}
	g.kind = stranger
	x.taken++
	x.of[g.address]++
	return true
}

// evictStaller evicts g if it has been silent for too long, and reports whether it did.
func (l *Lobby) evictStaller(g *Guest) bool {
	if g == nil || time.Since(g.silence.since) < l.patience() {
		return false
	}
	l.evict(g)
	l.strangers.stallers++
	return true
}

// left frees the slot of a guest that has gone.
func (x *strangers) left(g *Guest) {
	x.taken--
	if x.of[g.address]--; x.of[g.address] == 0 {
		delete(x.of, g.address)
	}
}

// serveLines gives slots to the strangers in line, one address after the other.
func (l *Lobby) serveLines() {
	x := &l.strangers
	for failed := 0; failed < x.order.Len(); {
		q := x.order.Front().Value.(*line)
		x.order.MoveToBack(q.turn)
		w := q.waiting.Front().Value.(*waiter)
		if !l.takeSlot(w.guest) {
			failed++
			continue
		}
		x.dequeue(w)
		close(w.done)
		failed = 0
	}
	l.watchLines()
}

// watchLines sets a timer that serves the lines when the next slot can be taken from a stranger.
func (l *Lobby) watchLines() {
	x := &l.strangers
	longest := x.silent.longest()
	if x.timed || x.queued == 0 || longest == nil {
		return
	}
	x.timed = true
	time.AfterFunc(max(time.Until(longest.silence.since.Add(l.patience())), minWatch), func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		x.timed = false
		l.serveLines()
	})
}
