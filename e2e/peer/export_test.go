package peer

import (
	"github.com/hopseal/hopseal/transport"
	"github.com/hopseal/hopseal/transport/relay"
)

// Parse reports whether b is a frame, and returns it as it would be sent.
func Parse(b []byte) ([]byte, bool) {
	f, ok := parse(b)
	return f.append(nil), ok
}

// CloseBody is the body of a close.
var CloseBody = closeBody

// Links returns how many links a node has.
func Links(n *Node) int {
	n.mu.Lock()
	w := n.membership
	n.mu.Unlock()
	return len(w.matching(func(*link) bool { return true }))
}

// Open opens a link to a member, without a session. It returns nil if there is none of
// that name.
func Open(n *Node, name string, room int) transport.Conn {
	n.mu.Lock()
	w := n.membership
	n.mu.Unlock()
	id, ok := w.find(name)
	if !ok {
		return nil
	}
	return w.open(id, name, room)
}

// AcceptLinks has a node put what others open into links, in the place of serving it.
func AcceptLinks(n *Node, room int, links chan<- transport.Conn, event relay.Event) {
	d, ok := event.(relay.Direct)
	if f, fine := parse(d.Payload); ok && fine && f.kind == kindOpen {
		n.mu.Lock()
		w := n.membership
		n.mu.Unlock()
		name, _ := w.nameOf(d.From)
		l := newLink(w, f.id, d.From, name, false, room)
		l.pending = false
		w.mu.Lock()
		w.links[linkKey{l.member, l.id}] = l
		w.mu.Unlock()
		l.deliver(f.body)
		links <- l
		return
	}
	n.Handle(event)
}
