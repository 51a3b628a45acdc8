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

// Two members that dial each other at once have to end up with one session, the same at
// both ends, whatever is lost or late, and nobody else may be able to keep them from it.
//
// One of the two decides, that with the lower fingerprint. Who that is they know once
// they have proved who they are. Dialling, it decides by taking the accept of the other
// (m4), and confirms that by a frame of the link; answering, by its own accept. It does
// both under one lock, so it never decides for two.
//
// The other one does not act on a session that it has answered before that is confirmed,
// by the frame or by a resume: until then the lower end may still decide for another.
//
// The lower end prefers its own dial, but not for ever: its dial may lead to nobody. When
// that has kept somebody waiting for glarePatience, or has failed, the next who comes and
// proves to be that peer is let in.

const (
	glarePatience  = 2 * time.Second
	confirmTimeout = 30 * time.Second
)

var (
	errGlare = errors.New("peer: this end dials too, and has the lower fingerprint")
	errMet   = errors.New("peer: the dial was overtaken by another session")
)

// An attempt is a dial under way.
type attempt struct {
	cancel  context.CancelFunc
	link    *link     // nil before it is open
	lost    bool      // another session is the one
	yields  bool      // it keeps nobody waiting
	refused time.Time // when it first did
}

// lower reports whether this end decides.
func (n *Node) lower(peer keys.Fingerprint) bool { return bytes.Compare(n.me[:], peer[:]) < 0 }

// admit decides about a member that has proved who it is and wants a session.
func (n *Node) admit(l *link, peer keys.Fingerprint) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if l.admitted { // and he has told something new since, within the session
		return nil
	}
	for _, m := range n.met {
		if m.name == l.name && m.peer == peer && m.order > l.order && !over(m.session) {
			return errMet // what is left of a dial at the same time
		}
	}
	if a := n.dialling[l.name]; a != nil && n.lower(peer) {
		if a.refused.IsZero() {
			a.refused = time.Now()
		}
		if !a.yields && time.Since(a.refused) < glarePatience {
			return errGlare
		}
		n.lose(a)
	}
	n.supersede(l, peer)
	n.coming[l], l.admitted = peer, true
	l.way.welcome(l)
	return nil
}

// supersede gives up what a member has begun before and not confirmed: otherwise it could
// take all places, one after the other. It is called under mu.
func (n *Node) supersede(l *link, peer keys.Fingerprint) {
	for old, coming := range n.coming {
		if coming == peer && old.name == l.name && !closed(old.confirmed) {
			close(old.dropped)
			delete(n.coming, old)
		}
	}
}

// lose gives an attempt up: another session is the one. It is called under mu.
func (n *Node) lose(a *attempt) {
	a.lost = true
	a.cancel()
	if l := a.link; l != nil {
		why := &transport.CloseError{Code: transport.CodeNormal}
		l.end(why, false) // at once: nothing that comes on it counts any more
		go l.tell(why)
	}
}

// confirm takes the word of the other end that it has a session, and keeps it.
func (n *Node) confirm(l *link) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if _, here := n.coming[l]; !here || closed(l.confirmed) {
		return
	}
	close(l.confirmed)
	n.overtake(l)
}

// overtake gives up our own attempt behind which another session has come. It is called
// under mu.
func (n *Node) overtake(l *link) {
	if a := n.dialling[l.name]; a != nil && !a.lost {
		n.lose(a)
	}
}

// won ends an attempt. The session counts, unless another one does.
func (n *Node) won(name string, a *attempt, s *e2e.Session) (_ *link, won bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.dialling, name)
	defer n.news()
	if s == nil || a.lost || closed(n.closed) {
		return nil, false
	}
	peer := s.Peer().Fingerprint()
	var others []*link
	for l, coming := range n.coming {
		if l.name == name && coming == peer {
			others = append(others, l)
		}
	}
	if len(others) > 0 && n.lower(peer) {
		return nil, false // we have decided, before this dial was known to be one of two
	}
	for _, l := range others { // the other end has
		close(l.dropped)
		delete(n.coming, l)
	}
	m := n.meet(s, name)
	m.dialled = true
	m.once.Do(func() { close(m.taken) })
	return a.link, true
}
