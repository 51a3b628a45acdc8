package peer

import (
	"context"
	"crypto/rand"
	"sync"

	"github.com/hopseal/hopseal/transport"
	"github.com/hopseal/hopseal/transport/relay"
)

// A membership is one stay in the topic of a relay, over one connection, with the links that run
// over it.
type membership struct {
	client *relay.Client
	topic  string
	name   string // our own
	out    chan outgoing

	closeNotices chan outgoing

	once sync.Once
	gone chan struct{}

	mu      sync.Mutex // guards what follows
	members []relay.Member
	links   map[linkKey]*link
	paces   map[relay.MemberID]*pace // of the members that have opened links
}

// A linkKey has the member in it: nobody else but the relay can write to a link.
type linkKey struct {
	member relay.MemberID
	id     linkID
}

type outgoing struct {
	to      relay.MemberID
	payload []byte
}

func newMembership(client *relay.Client, joined *relay.Joined, name string) *membership {
	w := &membership{
		client: client, topic: joined.Topic, name: name, out: make(chan outgoing), closeNotices: make(chan outgoing, maxCloseNotices),
		gone: make(chan struct{}), links: map[linkKey]*link{}, paces: map[relay.MemberID]*pace{},
	}
	for _, m := range joined.Members {
		w.entered(m)
	}
	go w.write()
	return w
}

// write hands frames to the relay, one after the other. A link that gives up while it waits here
// breaks off no other link's message.
func (w *membership) write() {
	for {
		var o outgoing
		select {
		case o = <-w.out:
		case o = <-w.closeNotices:
		case <-w.gone:
			return
		}
		if w.client.Send(context.Background(), w.topic, o.to, o.payload) != nil {
			w.end()
			return
		}
	}
}

// end ends all links, because the relay is lost.
func (w *membership) end() {
	w.once.Do(func() { close(w.gone) })
	for _, l := range w.matching(func(*link) bool { return true }) {
		l.end(&transport.CloseError{Code: transport.CodeAbnormal, Remote: true}, false)
	}
}

func (w *membership) over() bool {
	select {
	case <-w.gone:
		return true
	default:
		return false
	}
}

// matching returns the links that match.
func (w *membership) matching(match func(*link) bool) (found []*link) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, l := range w.links {
		if match(l) {
			found = append(found, l)
		}
	}
	return found
}

// find returns the member with that name. If a relay gives the name to several members, it returns
// the one that came last.
func (w *membership) find(name string) (id relay.MemberID, ok bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, m := range w.members {
		if m.Name == name {
			id, ok = m.ID, true
		}
	}
	return id, ok
}

func (w *membership) nameOf(id relay.MemberID) (name string, ok bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, m := range w.members {
		if m.ID == id {
			return m.Name, true
		}
	}
	return "", false
}

// maxMembers bounds what a relay can have a node remember; an honest one has 64 by default.
const maxMembers = 4096

func (w *membership) entered(m relay.Member) {
	w.mu.Lock()
	defer w.mu.Unlock()
	m.Presence = nil
	if len(w.members) < maxMembers {
		w.members = append(w.members, m)
	}
}

// left ends the links of a member that is gone.
func (w *membership) left(id relay.MemberID) {
	w.mu.Lock()
	kept := w.members[:0]
	for _, m := range w.members {
		if m.ID != id {
			kept = append(kept, m)
		}
	}
	w.members = kept
	delete(w.paces, id)
	w.mu.Unlock()
	for _, l := range w.matching(func(l *link) bool { return l.member == id }) {
		l.end(&transport.CloseError{Code: transport.CodeAbnormal, Remote: true}, false)
	}
}

// open makes a link to a member.
func (w *membership) open(member relay.MemberID, name string, room int) *link {
	var id linkID
	rand.Read(id[:])
	l := newLink(w, id, member, name, true, room)
	w.mu.Lock()
	w.links[linkKey{l.member, l.id}] = l
	w.mu.Unlock()
	w.added(l)
	return l
}

// added ends a link that was added after the membership had ended.
func (w *membership) added(l *link) {
	if w.over() { // end may not have seen this link
		l.end(&transport.CloseError{Code: transport.CodeAbnormal, Remote: true}, false)
	}
}

func (w *membership) link(member relay.MemberID, id linkID) *link {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.links[linkKey{member, id}]
}

func (w *membership) forget(l *link) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.links, linkKey{l.member, l.id})
}
