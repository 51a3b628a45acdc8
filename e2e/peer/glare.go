package peer

import (
	"bytes"
	"context"
	"errors"
	"time"

	"github.com/hopseal/hopseal/e2e"
	"github.com/hopseal/hopseal/keys"
	"github.com/hopseal/hopseal/transport"
)

// Glare is when two members dial each other at once. They have to end up with one session, the
// same at both ends, whatever is lost or late, and nobody else may keep them from it.
//
// The end with the lower fingerprint decides. Both know which one that is once they have proved
// who they are. If the lower end has dialled, it decides when it takes the other's accept (m4),
// and confirms that with a frame of the link. If it has answered, it decides with its own accept.
// It does both under one lock, so it never decides for two sessions.
//
// The higher end does not use a session that it has answered until the lower end confirms it,
// with the frame or by resuming: until then the lower end may still decide for another session.
//
// The lower end prefers its own dial, but not for ever: its dial may lead to nobody. Once the dial
// has kept the peer waiting for glarePatience, or has failed, the next one who proves to be that
// peer is let in.

const (
	glarePatience  = 2 * time.Second
	confirmTimeout = 30 * time.Second
)

var (
	errGlare     = errors.New("peer: this end dials too, and has the lower fingerprint")
	errOvertaken = errors.New("peer: the dial was overtaken by another session")
)

// An attempt is a dial under way.
type attempt struct {
	cancel       context.CancelFunc
	link         *link     // nil before it is open
	overtaken    bool      // another session is the one
	yields       bool      // to the peer's own dial, at once
	refusedSince time.Time // when admit first refused the peer for it, zero for never
}

// lower reports whether this end decides.
func (n *Node) lower(peer keys.Fingerprint) bool { return bytes.Compare(n.me[:], peer[:]) < 0 }

// admit lets in a member that has proved who it is and wants a session, or returns why not.
func (n *Node) admit(l *link, peer keys.Fingerprint) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if l.admitted { // before: the member has sent a newer statement within the session
		return nil
	}
	for _, m := range n.sessions {
		if m.name == l.name && m.peer == peer && m.order > l.order && !over(m.session) {
			return errOvertaken // the link is the rest of a dial at the same time
		}
	}
	if a := n.dialling[l.name]; a != nil && n.lower(peer) {
		if a.refusedSince.IsZero() {
			a.refusedSince = time.Now()
		}
		if !a.yields && time.Since(a.refusedSince) < glarePatience {
			return errGlare
		}
		n.abandon(a)
	}
	n.supersede(l, peer)
	n.unconfirmed[l], l.admitted = peer, true
	l.membership.refundPace(l)
	return nil
}

// supersede drops the sessions that a member has begun earlier and not confirmed: otherwise it
// could use up all sessions, one after the other. The caller holds n.mu.
func (n *Node) supersede(l *link, peer keys.Fingerprint) {
	for old, coming := range n.unconfirmed {
		if coming == peer && old.name == l.name && !closed(old.confirmed) {
			close(old.dropped)
			delete(n.unconfirmed, old)
		}
	}
}

// abandon cancels an attempt because another session counts. The caller holds n.mu.
func (n *Node) abandon(a *attempt) {
	a.overtaken = true
	a.cancel()
	if l := a.link; l != nil {
		why := &transport.CloseError{Code: transport.CodeNormal}
		l.end(why, false) // at once: nothing that comes on it counts any more
		go l.tell(why)
	}
}

// confirm notes that the other end has confirmed the session on the link and keeps it.
func (n *Node) confirm(l *link) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if _, here := n.unconfirmed[l]; !here || closed(l.confirmed) {
		return
	}
	close(l.confirmed)
	n.overtake(l)
}

// overtake abandons this end's own attempt, since a session on the link counts. The caller holds
// n.mu.
func (n *Node) overtake(l *link) {
	if a := n.dialling[l.name]; a != nil && !a.overtaken {
		n.abandon(a)
	}
}

// finish ends an attempt. It reports whether the attempt's session counts, and returns its link.
func (n *Node) finish(name string, a *attempt, s *e2e.Session) (_ *link, won bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.dialling, name)
	defer n.broadcast()
	if s == nil || a.overtaken || closed(n.closed) {
		return nil, false
	}
	peer := s.Peer().Fingerprint()
	var others []*link
	for l, coming := range n.unconfirmed {
		if l.name == name && coming == peer {
			others = append(others, l)
		}
	}
	if len(others) > 0 && n.lower(peer) {
		return nil, false // this end has decided for another one before it knew of the glare
	}
	for _, l := range others { // the other end has decided for this one
		close(l.dropped)
		delete(n.unconfirmed, l)
	}
	m := n.addSession(s, name)
	m.dialled = true
	m.once.Do(func() { close(m.taken) })
	return a.link, true
}
