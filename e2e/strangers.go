package e2e

import (
	"container/list"
	"context"
	"math/bits"
	"time"
)

// strangers want a session, or one that there is not. There are MaxHandshakes places for
// handshakes with them, of which one address gets MaxHandshakesPerAddress. Whoever finds none waits
// in a line of his address. The lines have room for as many, and beyond that the one at the head
// of the longest line is sent away. A place is taken from a stranger who has been silent while it
// is his turn, for longer than those who get on take for that: so peers who stall lose their
// places to others, and nobody else does. They are guarded by the lobby's mu.
type strangers struct {
	here   int // places that are taken
	of     map[string]int
	silent hush // those of them whose turn it is to speak

	queued int // in all lines
	lines  map[string]*queue
	order  list.List // of *queue: whose turn is next first
	timed  bool      // a timer will serve the lines

	patience time.Duration // for how long a stranger may be silent while others wait for his place, at least
	most     time.Duration // the bound of that
	slowest  time.Duration // that somebody welcome took lately to speak
	stallers int           // who have lost their places
}

// A queue is the line of one address.
type queue struct {
	address string
	waiting list.List // of *petitioner
	spot    *list.Element
}

// A petitioner is a stranger in a line.
type petitioner struct {
	guest *guest
	done  chan struct{} // closed when it has a place, or is sent away
	err   error         // why it is
	queue *queue        // nil from then on
	spot  *list.Element
}

const (
	leastPatience = 50 * time.Millisecond
	leastLook     = 20 * time.Millisecond // between two looks whether a place can be taken
)

// all returns how many there are, those in lines included.
func (x *strangers) all() int { return x.here + x.queued }

// welcome says that a guest has turned out to be honest: what he took others may take too, and
// as long again.
func (g *guest) welcome() {
	if g == nil {
		return
	}
	g.lobby.mu.Lock()
	defer g.lobby.mu.Unlock()
	x := &g.lobby.strangers
	x.slowest = max(g.took, x.slowest*15/16)
	x.patience = min(max(2*x.slowest, leastPatience), x.most)
}

// patient returns for how long a stranger may be silent now while others wait for his place. Those
// who get on may be only the fast ones, so it is twice as long in every second round of the
// places, four times in every fourth, and so on.
func (l *lobby) patient() time.Duration {
	x := &l.strangers
	round := x.stallers/min(l.most, l.mostPerAddress) + 1
	return min(x.patience<<min(bits.TrailingZeros(uint(round)), 10), x.most)
}

// admit waits for a place for a guest, for so long at most.
func (g *guest) admit(ctx context.Context, most time.Duration) error {
	if g == nil {
		return nil
	}
	p, err := g.lobby.apply(g)
	if p == nil {
		return err
	}
	late := time.NewTimer(most)
	defer late.Stop()
	select {
	case <-p.done:
	case <-late.C:
	case <-ctx.Done():
	}
	return g.lobby.withdraw(ctx, p)
}

// apply gives a guest a place, or else has him wait in line.
func (l *lobby) apply(g *guest) (*petitioner, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, here := l.guests[g]; !here {
		return nil, g.why
	}
	x := &l.strangers
	q := x.lines[g.address]
	switch {
	case q == nil && l.place(g):
		return nil, nil
	case x.queued >= l.most:
		l.shorten(q)
		q = x.lines[g.address] // which may have been that one
	}
	if q == nil {
		q = &queue{address: g.address}
		q.spot = x.order.PushBack(q)
		if x.lines == nil {
			x.lines = map[string]*queue{}
		}
		x.lines[g.address] = q
	}
	p := &petitioner{guest: g, done: make(chan struct{}), queue: q}
	p.spot = q.waiting.PushBack(p)
	x.queued++
	l.watchLines()
	return p, nil
}

// shorten sends the first of the longest line away, which is that one if others are no longer.
func (l *lobby) shorten(longest *queue) {
	for _, q := range l.strangers.lines {
		if longest == nil || q.waiting.Len() > longest.waiting.Len() {
			longest = q
		}
	}
	p := longest.waiting.Front().Value.(*petitioner)
	p.err = l.busy(l.strangers.queued)
	l.strangers.unqueue(p)
	close(p.done)
}

// withdraw returns what became of a stranger in a line, who waits no longer.
func (l *lobby) withdraw(ctx context.Context, p *petitioner) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if p.queue == nil {
		return p.err
	}
	l.strangers.unqueue(p)
	if err := context.Cause(ctx); err != nil {
		return err
	}
	return l.busy(l.strangers.queued)
}

func (x *strangers) unqueue(p *petitioner) {
	q := p.queue
	q.waiting.Remove(p.spot)
	p.queue = nil
	if x.queued--; q.waiting.Len() == 0 {
		x.order.Remove(q.spot)
		delete(x.lines, q.address)
	}
}

// place gives a stranger a place if there is one, or one that can be taken from another.
func (l *lobby) place(g *guest) bool {
	x := &l.strangers
	switch {
	case g.address != "" && x.of[g.address] >= l.mostPerAddress:
		if !l.stalled(x.silent.longestOf(g.address)) {
			return false
		}
	case x.here >= l.most:
		if !l.stalled(x.silent.longest()) {
			return false
		}
	}
	if x.of == nil {
		x.of = map[string]int{}
	}
	g.kind = stranger
	x.here++
	x.of[g.address]++
	return true
}

// stalled turns a stranger out who has been silent for too long, and reports whether it did.
func (l *lobby) stalled(g *guest) bool {
	if g == nil || time.Since(g.quiet.since) < l.patient() {
		return false
	}
	l.turnOut(g)
	l.strangers.stallers++
	return true
}

// left is called when a guest with a place has gone.
func (x *strangers) left(g *guest) {
	x.here--
	if x.of[g.address]--; x.of[g.address] == 0 {
		delete(x.of, g.address)
	}
}

// serveLines gives places to those in line, to one address after the other.
func (l *lobby) serveLines() {
	x := &l.strangers
	for failed := 0; failed < x.order.Len(); {
		q := x.order.Front().Value.(*queue)
		x.order.MoveToBack(q.spot)
		p := q.waiting.Front().Value.(*petitioner)
		if !l.place(p.guest) {
			failed++
			continue
		}
		x.unqueue(p)
		close(p.done)
		failed = 0
	}
	l.watchLines()
}

// watchLines sees that the lines are served when the next place can be taken from somebody.
func (l *lobby) watchLines() {
	x := &l.strangers
	longest := x.silent.longest()
	if x.timed || x.queued == 0 || longest == nil {
		return
	}
	x.timed = true
	time.AfterFunc(max(time.Until(longest.quiet.since.Add(l.patient())), leastLook), func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		x.timed = false
		l.serveLines()
	})
}
