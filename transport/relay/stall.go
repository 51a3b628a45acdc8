//go:build !js

package relay

import (
	"sync"
	"time"
)

// A member with a crowded outbox is waited for, see port.await. Whoever takes what is
// waited for at no less than slowestRate has nothing to fear from a burst; whoever does not
// spends the patience that Options.MaxStall gives to each address, and is no longer waited
// for when that is gone: what does not fit into the outbox then ends the connection. To
// join again gives no new patience. Nobody sees how far a frame has come that is being
// written, so it has the time that it takes at frameRate on top.
const (
	slowestRate = 32 << 10        // bytes a second
	frameRate   = 256 << 10       // bytes a second
	leastFrame  = 512             // what a frame counts at least, in bytes
	regained    = 5 * time.Minute // in which all of the patience comes back
)

func timeFor(bytes int64, rate float64) time.Duration {
	return time.Duration(float64(bytes) / rate * float64(time.Second))
}

// stalls knows how much patience is spent.
type stalls struct {
	most time.Duration

	mu        sync.Mutex // guards what follows, and the holdup of every port
	addresses map[string]*stall
}

// A stall is what the connections of one address have spent.
type stall struct {
	spent time.Duration
	at    time.Time // when spent was that
	held  int       // connections that hold somebody up
}

// A holdup is what one connection holds up now.
type holdup struct {
	stall   *stall // of the address
	waiters int
	since   time.Time // up to which it is counted
	then    progress  // of the outbox at that time
	debt    time.Duration
}

func newStalls(most time.Duration) *stalls {
	return &stalls{most: most, addresses: make(map[string]*stall)}
}

// begin counts somebody in who waits for r.
func (s *stalls) begin(r *port) {
	s.mu.Lock()
	defer s.mu.Unlock()
	h := &r.holdup
	if h.waiters++; h.waiters > 1 {
		return
	}
	if r.address != "" || h.stall == nil {
		h.stall = s.of(r.address)
	}
	h.stall.held++
	h.since = time.Now()
	h.then = r.out.progress(h.since)
}

// end counts somebody out.
func (s *stalls) end(r *port) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.settle(r)
	if r.holdup.waiters--; r.holdup.waiters == 0 {
		r.holdup.stall.held--
	}
}

// left returns for how long r is still waited for.
func (s *stalls) left(r *port) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.settle(r)
	return s.most + timeFor(r.holdup.then.last, frameRate) - r.holdup.stall.spent
}

// settle brings up to date what r has spent: the time in which it held somebody up while a
// frame was being written to it, less what it has taken meanwhile. A hub that does not get to
// write charges nobody for that. It gives back no more than r has spent itself. It is called
// under mu.
func (s *stalls) settle(r *port) {
	now, h := time.Now(), &r.holdup
	s.regain(h.stall, now)
	p := r.out.progress(now)
	spent := min(p.writing-h.then.writing, max(0, p.crowded.Sub(h.since))) - timeFor(p.taken-h.then.taken, slowestRate)
	spent = max(spent, -h.debt)
	h.debt += spent
	h.stall.spent = max(0, h.stall.spent+spent)
	h.since, h.then = now, p
}

func (s *stalls) regain(a *stall, now time.Time) {
	a.spent = max(0, a.spent-time.Duration(float64(now.Sub(a.at))*float64(s.most)/float64(regained)))
	a.at = now
}

// of returns the stall of an address, or a new one where that is unknown. It is called
// under mu.
func (s *stalls) of(address string) *stall {
	if a := s.addresses[address]; a != nil {
		return a
	}
	a := &stall{at: time.Now()}
	if address != "" {
		s.sweep(a.at)
		s.addresses[address] = a
	}
	return a
}

// sweep forgets the addresses that have all of their patience back. It is called under mu.
func (s *stalls) sweep(now time.Time) {
	for address, a := range s.addresses {
		if s.regain(a, now); a.spent == 0 && a.held == 0 {
			delete(s.addresses, address)
		}
	}
}
