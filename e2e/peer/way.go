package peer

import (
	"context"
	"crypto/rand"
	"sync"

	"github.com/hopseal/hopseal/transport"
	"github.com/hopseal/hopseal/transport/relay"
)

// A way is one stay in the topic of a relay, with the links that run over it.
type way struct {
	client *relay.Client
	topic  string
	name   string // our own
	out    chan outgoing

	farewells chan outgoing

	once sync.Once
	gone chan struct{}

	mu      sync.Mutex // guards what follows
	members []relay.Member
	links   map[linkKey]*link
	paces   map[relay.MemberID]*pace // of those who have opened links
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

func newWay(client *relay.Client, joined *relay.Joined, name string) *way {
	w := &way{
		client: client, topic: joined.Topic, name: name, out: make(chan outgoing), farewells: make(chan outgoing, maxFarewells),
		gone: make(chan struct{}), links: map[linkKey]*link{}, paces: map[relay.MemberID]*pace{},
	}
	for _, m := range joined.Members {
		w.entered(m)
	}
	go w.write()
	return w
}

// write hands everything to the relay, one after the other. What one link has to wait for
// is thereby no reason to break off a message of another.
func (w *way) write() {
	for {
		var o outgoing
		select {
		case o = <-w.out:
		case o = <-w.farewells:
		case <-w.gone:
			return
		}
		if w.client.Send(context.Background(), w.topic, o.to, o.payload) != nil {
			w.end()
			return
		}
	}
}

// end ends all links: the relay is lost.
func (w *way) end() {
	w.once.Do(func() { close(w.gone) })
	for _, l := range w.all(func(*link) bool { return true }) {
		l.end(&transport.CloseError{Code: transport.CodeAbnormal, Remote: true}, false)
	}
}

func (w *way) over() bool {
	select {
	case <-w.gone:
		return true
	default:
		return false
	}
}

func (w *way) all(match func(*link) bool) (found []*link) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, l := range w.links {
		if match(l) {
			found = append(found, l)
		}
	}
	return found
}

// find returns the member that has a name. Where a relay gives it to several, that is the
// one which came last.
func (w *way) find(name string) (id relay.MemberID, ok bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, m := range w.members {
		if m.Name == name {
			id, ok = m.ID, true
		}
	}
	return id, ok
}

func (w *way) nameOf(id relay.MemberID) (name string, ok bool) {
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

func (w *way) entered(m relay.Member) {
	w.mu.Lock()
	defer w.mu.Unlock()
	m.Presence = nil
	if len(w.members) < maxMembers {
		w.members = append(w.members, m)
	}
}

// left ends the links of a member that is gone.
func (w *way) left(id relay.MemberID) {
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
	for _, l := range w.all(func(l *link) bool { return l.member == id }) {
		l.end(&transport.CloseError{Code: transport.CodeAbnormal, Remote: true}, false)
	}
}

// open makes a link to a member.
func (w *way) open(member relay.MemberID, name string, room int) *link {
	var id linkID
	rand.Read(id[:])
	l := newLink(w, id, member, name, true, room)
	w.mu.Lock()
	w.links[linkKey{l.member, l.id}] = l
	w.mu.Unlock()
	w.added(l)
	return l
}

func (w *way) added(l *link) {
	if w.over() { // since: nobody else may have seen this link
		l.end(&transport.CloseError{Code: transport.CodeAbnormal, Remote: true}, false)
	}
}

func (w *way) link(member relay.MemberID, id linkID) *link {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.links[linkKey{member, id}]
}

func (w *way) forget(l *link) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.links, linkKey{l.member, l.id})
}
