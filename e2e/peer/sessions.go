package peer

import (
	"context"
	"sync"
	"time"

	"github.com/hopseal/hopseal/e2e"
	"github.com/hopseal/hopseal/keys"
)

// A peerSession is the session that counts with a member.
type peerSession struct {
	session *e2e.Session
	dialled bool // this end has begun it
	name    string
	peer    keys.Fingerprint
	order   uint64
	once    sync.Once
	taken   chan struct{} // closed when Dial has returned it
}

// A reconnection counts the links that a session has had. The second one says as much as a confirm
// frame, which may be lost with the first link.
type reconnection struct {
	links  int           // that the session has had
	second chan struct{} // closed when it gets its second link
}

// handleSession is the server's handler. It waits until the session is confirmed, and then offers it to
// Accept and Dial.
func (n *Node) handleSession(ctx context.Context, s *e2e.Session) error {
	l, _ := ctx.Value(linkKeyOf{}).(*link)
	if l == nil || !n.confirmed(ctx, s, l) {
		return nil
	}
	m := n.acceptSession(s, l)
	select {
	case n.accepted <- s:
	case <-m.taken:
	case <-ctx.Done():
	}
	<-ctx.Done()
	return nil
}

// confirmed waits for the other end's decision, and reports whether it is for this session.
func (n *Node) confirmed(ctx context.Context, s *e2e.Session, l *link) bool {
	n.mu.Lock()
	c := n.reconnectionOf(s)
	n.mu.Unlock()
	late := time.NewTimer(confirmTimeout)
	defer late.Stop()
	select {
	case <-l.confirmed:
	case <-c.second:
	case <-l.dropped:
		return false
	case <-late.C:
		return false
	case <-ctx.Done():
		return false
	}
	return true
}

// reconnectionOf returns the count of a session, and begins it if need be. The caller holds n.mu.
func (n *Node) reconnectionOf(s *e2e.Session) *reconnection {
	c := n.reconnections[s]
	if c == nil {
		c = &reconnection{second: make(chan struct{})}
		if !over(s) {
			n.reconnections[s] = c
		}
	}
	return c
}

// notifier returns a Notify that counts the links of each session, and passes all events on to next.
func (n *Node) notifier(next func(e2e.Event)) func(e2e.Event) {
	return func(e e2e.Event) {
		n.mu.Lock()
		switch {
		case e.Session == nil:
		case e.State == e2e.StateSecure:
			c := n.reconnectionOf(e.Session)
			if c.links++; c.links == 2 {
				close(c.second)
			}
		case e.State == e2e.StateClosed:
			delete(n.reconnections, e.Session)
		}
		n.mu.Unlock()
		if next != nil {
			next(e)
		}
	}
}

// acceptSession makes a confirmed session, which the other end has begun, the one that counts.
func (n *Node) acceptSession(s *e2e.Session, l *link) *peerSession {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.overtake(l)
	m := n.addSession(s, l.name)
	delete(n.unconfirmed, l)
	return m
}

// addSession makes a session the one that counts with its peer, and closes an older one. The caller
// holds n.mu.
func (n *Node) addSession(s *e2e.Session, name string) *peerSession {
	m := &peerSession{session: s, name: name, peer: s.Peer().Fingerprint(), order: n.next(), taken: make(chan struct{})}
	kept := n.sessions[:0]
	for _, old := range n.sessions {
		switch {
		case over(old.session):
		case old.name == name && old.peer == m.peer:
			n.close(old.session)
		default:
			kept = append(kept, old)
		}
	}
	clear(n.sessions[len(kept):])
	n.sessions = append(kept, m)
	n.broadcast()
	return m
}

// close closes a session in the background. The caller holds n.mu.
func (n *Node) close(s *e2e.Session) {
	if closed(n.closed) {
		go s.Close()
	} else {
		n.running.Go(func() { s.Close() })
	}
}

// forget removes a link that this end has answered. The caller calls it when the link is over, and its
// session too if it has one.
func (n *Node) forget(l *link) {
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.unconfirmed, l)
	n.broadcast()
}

// findSession returns the session that counts with a member, or nil. The caller holds n.mu.
func (n *Node) findSession(name string) (found *peerSession) {
	for _, m := range n.sessions {
		if m.name == name && !over(m.session) {
			found = m
		}
	}
	return found
}

// hasUnconfirmed reports whether a member of that name was let in and has not confirmed its session
// yet. The caller holds n.mu.
func (n *Node) hasUnconfirmed(name string) bool {
	for l := range n.unconfirmed {
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
