package peer

import (
	"context"
	"sync"
	"time"

	"github.com/hopseal/hopseal/e2e"
	"github.com/hopseal/hopseal/keys"
)

// A meeting is a session that counts.
type meeting struct {
	session *e2e.Session
	dialled bool
	name    string
	peer    keys.Fingerprint
	order   uint64
	once    sync.Once
	taken   chan struct{} // closed when Dial has returned it
}

// A comeback says as much as a confirm, which may be lost with the first link.
type comeback struct {
	times int           // that the session has got a link
	back  chan struct{} // closed at the second
}

// hand is the server's function: it waits until the session is the one, and gives it away.
func (n *Node) hand(ctx context.Context, s *e2e.Session) error {
	l, _ := ctx.Value(linkKeyOf{}).(*link)
	if l == nil || !n.confirmed(ctx, s, l) {
		return nil
	}
	m := n.settle(s, l)
	select {
	case n.accepted <- s:
	case <-m.taken:
	case <-ctx.Done():
	}
	<-ctx.Done()
	return nil
}

// confirmed waits for the other end's decision.
func (n *Node) confirmed(ctx context.Context, s *e2e.Session, l *link) bool {
	n.mu.Lock()
	c := n.comebackOf(s)
	n.mu.Unlock()
	late := time.NewTimer(confirmTimeout)
	defer late.Stop()
	select {
	case <-l.confirmed:
	case <-c.back:
	case <-l.dropped:
		return false
	case <-late.C:
		return false
	case <-ctx.Done():
		return false
	}
	return true
}

// comebackOf is called under mu.
func (n *Node) comebackOf(s *e2e.Session) *comeback {
	c := n.waiting[s]
	if c == nil {
		c = &comeback{back: make(chan struct{})}
		if !over(s) {
			n.waiting[s] = c
		}
	}
	return c
}

// notifier counts how often sessions have begun, from the first time on, and passes all
// events on.
func (n *Node) notifier(next func(e2e.Event)) func(e2e.Event) {
	return func(e e2e.Event) {
		n.mu.Lock()
		switch {
		case e.Session == nil:
		case e.State == e2e.StateSecure:
			c := n.comebackOf(e.Session)
			if c.times++; c.times == 2 {
				close(c.back)
			}
		case e.State == e2e.StateClosed:
			delete(n.waiting, e.Session)
		}
		n.mu.Unlock()
		if next != nil {
			next(e)
		}
	}
}

// settle makes a session that we have answered the one with its peer.
func (n *Node) settle(s *e2e.Session, l *link) *meeting {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.overtake(l)
	m := n.meet(s, l.name)
	delete(n.coming, l)
	return m
}

// meet makes a session count, in the place of an older one. It is called under mu.
func (n *Node) meet(s *e2e.Session, name string) *meeting {
	m := &meeting{session: s, name: name, peer: s.Peer().Fingerprint(), order: n.next(), taken: make(chan struct{})}
	kept := n.met[:0]
	for _, old := range n.met {
		switch {
		case over(old.session):
		case old.name == name && old.peer == m.peer:
			n.close(old.session)
		default:
			kept = append(kept, old)
		}
	}
	clear(n.met[len(kept):])
	n.met = append(kept, m)
	n.news()
	return m
}

// close is called under mu.
func (n *Node) close(s *e2e.Session) {
	if closed(n.closed) {
		go s.Close()
	} else {
		n.running.Go(func() { s.Close() })
	}
}

// forget is called when a link that we have answered is over, and its session if it has
// one.
func (n *Node) forget(l *link) {
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.coming, l)
	n.news()
}

// find returns the session that counts with a member, or nil. It is called under mu.
func (n *Node) find(name string) (found *meeting) {
	for _, m := range n.met {
		if m.name == name && !over(m.session) {
			found = m
		}
	}
	return found
}

// expects reports whether a member of that name was let in, and has not confirmed it. It
// is called under mu.
func (n *Node) expects(name string) bool {
	for l := range n.coming {
		if l.name == name {
			return true
		}
	}
	return false
}

func over(s *e2e.Session) bool { return closed(s.Done()) }

func closed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}
