package calls

import (
	"context"
	"slices"
)

// An allowance limits what the unanswered requests of this end may cost: as much as the peer, with
// the same configuration, is ready to hold. Requests get their shares in the order in which they
// ask. A request that costs more than the whole allowance must be alone. So the peer has room for
// each request, in whatever order they arrive. The mu of the Calls guards it.
type allowance struct {
	used    int // in bytes
	waiting []*share
}

// A share is a part of an allowance, or the wait for it.
type share struct {
	cost    int
	granted chan struct{} // closed once the share is granted
}

// ask returns a share, which may be granted already.
func (c *Calls) ask(cost int) *share {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := &share{cost: cost, granted: make(chan struct{})}
	c.allowance.waiting = append(c.allowance.waiting, s)
	c.allowance.grant(c.limits.Window)
	return s
}

// awaitShare waits until a share is granted. The error says why it will not be.
func (c *Calls) awaitShare(ctx context.Context, s *share) error {
	select {
	case <-s.granted:
		return nil
	default:
	}
	c.flow.Want() // somebody must read the answers that it waits for
	defer c.flow.Unwant()
	select {
	case <-s.granted:
		return nil
	case <-c.flow.Done():
		return c.flow.Err()
	case <-ctx.Done():
		c.withdraw(s)
		return ctx.Err()
	}
}

// withdraw gives a share back, or stops waiting for it.
func (c *Calls) withdraw(s *share) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if i := slices.Index(c.allowance.waiting, s); i >= 0 {
		c.allowance.waiting = slices.Delete(c.allowance.waiting, i, i+1)
	} else {
		c.allowance.used -= s.cost
	}
	c.allowance.grant(c.limits.Window)
}

// grant grants the shares that there is room for. The caller holds the Calls' mu.
func (l *allowance) grant(window int) {
	for len(l.waiting) > 0 && (l.used == 0 || l.used+l.waiting[0].cost <= window) {
		l.used += l.waiting[0].cost
		close(l.waiting[0].granted)
		l.waiting = slices.Delete(l.waiting, 0, 1)
	}
}
