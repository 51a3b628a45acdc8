package e2e

import (
	"context"
	"slices"
)

// An allowance is how much the requests of this end may cost of which it has no answer yet:
// what the other end, with the same Config, is ready to hold. It is given in the order in
// which it is asked for, and one that is larger than all of it has to be alone: then the other
// end finds room for each request, in whatever order they come to it.
//
// It is guarded by the mu of its calls.
type allowance struct {
	used    int // in bytes
	waiting []*applicant
}

// An applicant waits for some of an allowance.
type applicant struct {
	cost    int
	granted chan struct{} // closed once it has it
}

// ask returns an applicant, who may have it already.
func (c *calls) ask(cost, window int) *applicant {
	c.mu.Lock()
	defer c.mu.Unlock()
	a := &applicant{cost: cost, granted: make(chan struct{})}
	c.allowance.waiting = append(c.allowance.waiting, a)
	c.allowance.grant(window)
	return a
}

// await returns once a request may be numbered, or why it may not be.
func (a *applicant) await(ctx context.Context, s *Session) error {
	select {
	case <-a.granted:
		return nil
	default:
	}
	s.wanted.Add(1) // the answers that it waits for have to be read
	defer s.wanted.Add(-1)
	s.pump()
	select {
	case <-a.granted:
		return nil
	case <-s.ended:
		return s.err
	case <-ctx.Done():
		s.calls.withdraw(a, s.window)
		return ctx.Err()
	}
}

// withdraw gives back what an applicant has, or takes him out of those who wait.
func (c *calls) withdraw(a *applicant, window int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if i := slices.Index(c.allowance.waiting, a); i >= 0 {
		c.allowance.waiting = slices.Delete(c.allowance.waiting, i, i+1)
	} else {
		c.allowance.used -= a.cost
	}
	c.allowance.grant(window)
}

// grant gives those who wait what there is. It is called under mu.
func (l *allowance) grant(window int) {
	for len(l.waiting) > 0 && (l.used == 0 || l.used+l.waiting[0].cost <= window) {
		l.used += l.waiting[0].cost
		close(l.waiting[0].granted)
		l.waiting = slices.Delete(l.waiting, 0, 1)
	}
}
