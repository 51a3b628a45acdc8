//go:build !js

package relay

import (
	"sync"
	"time"
)

// Those who publish wait for a member with a crowded outbox, see port.await. A member that takes
// frames at slowestRate or faster costs nothing. A slower one spends the patience that
// Options.MaxStall gives to each address. When that is gone nobody waits for it: its connection is
// cut as soon as a frame does not fit into its outbox. Joining again gives no new patience. Nobody
// sees how much of a frame has been written already, so each frame gets the time that it takes at
// frameRate on top.
const (
	slowestRate = 32 << 10        // bytes a second
	frameRate   = 256 << 10       // bytes a second
	leastFrame  = 512             // what a frame counts at least, in bytes
	regained    = 5 * time.Minute // the time in which all of the patience comes back
)

func timeFor(bytes int64, rate float64) time.Duration {
	return time.Duration(float64(bytes) / rate * float64(time.Second))
}

// stalls records how much patience each address has spent.
type stalls struct {
	most time.Duration

	mu        sync.Mutex // guards what follows, and the holdup of every port
	addresses map[string]*stall
}

// A stall is what the connections of one address have spent.
type stall struct {
	spent time.Duration
	at    time.Time // when spent had that value
	held  int       // connections that hold somebody up
}

// A holdup is how one connection holds others up now.
type holdup struct {
	stall   *stall // of the address
	waiters int
	since   time.Time // the time up to which debt counts
	then    progress  // the outbox's progress at that time
	debt    time.Duration
}

func newStalls(most time.Duration) *stalls {
	return &stalls{most: most, addresses: make(map[string]*stall)}
}

// begin counts one more port that waits for r.
func (s *stalls) begin(r *port) {
	s.mu.Lock()
	defer s.mu.Unlock()
	h := &r.holdup
	if h.waiters++; h.waiters > 1 {
		return
	}
	if r.address != "" || h.stall == nil {
		h.stall = s.stallOf(r.address)
	}
	h.stall.held++
	h.since = time.Now()
	h.then = r.out.progress(h.since)
}

// end counts one port less that waits for r.
func (s *stalls) end(r *port) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.charge(r)
	if r.holdup.waiters--; r.holdup.waiters == 0 {
		r.holdup.stall.held--
	}
}

// left returns how much longer others wait for r.
func (s *stalls) left(r *port) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.charge(r)
	return s.most + timeFor(r.holdup.then.last, frameRate) - r.holdup.stall.spent
}

// charge updates what r has spent: it adds the time in which r held somebody up while a frame was
// being written to it, and subtracts the time that its progress was worth at slowestRate. If the
// hub itself does not get to write, nobody is charged. r gets back no more than it has spent
// itself. The caller holds s.mu.
func (s *stalls) charge(r *port) {
	now, h := time.Now(), &r.holdup
	s.regain(h.stall, now)
	p := r.out.progress(now)
	spent := min(p.writing-h.then.writing, max(0, p.crowded.Sub(h.since))) - timeFor(p.taken-h.then.taken, slowestRate)
	spent = max(spent, -h.debt)
	h.debt += spent
	h.stall.spent = max(0, h.stall.spent+spent)
	h.since, h.then = now, p
}

// regain gives an address back the patience that has come back since it was last looked at.
func (s *stalls) regain(a *stall, now time.Time) {
	a.spent = max(0, a.spent-time.Duration(float64(now.Sub(a.at))*float64(s.most)/float64(regained)))
	a.at = now
}

// stallOf returns the stall of an address, or a new one if the address is unknown. The caller holds
// s.mu.
func (s *stalls) stallOf(address string) *stall {
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

// sweep forgets the addresses that have all their patience back. The caller holds s.mu.
func (s *stalls) sweep(now time.Time) {
	for address, a := range s.addresses {
		if s.regain(a, now); a.spent == 0 && a.held == 0 {
			delete(s.addresses, address)
		}
	}
}
