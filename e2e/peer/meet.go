package peer

import (
	"bytes"
	"context"
	"errors"
	"math/rand/v2"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/hopseal/hopseal/e2e"
	"github.com/hopseal/hopseal/keys"
	"github.com/hopseal/hopseal/transport"
	"github.com/hopseal/hopseal/transport/relay"
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
	closeTimeout   = 5 * time.Second

	// dialTries is how often Dial tries while the other end is there, and dialPause how
	// long it waits in between at first.
	dialTries = 6
	dialPause = 250 * time.Millisecond
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

// verifier asks the application's Verifier about members, and decides who is let in.
type verifier struct {
	node *Node
	keys.Verifier
}

// Verify is described at [keys.Verifier].
func (v verifier) Verify(ctx context.Context, want keys.Expected, got *keys.PublicIdentity) error {
	l, _ := ctx.Value(linkKeyOf{}).(*link)
	member := keys.Expected{Address: want.Address, Role: keys.RoleMember, Fingerprint: want.Fingerprint}
	if want.Role == keys.RoleClient {
		member.Address = v.node.addressOf(l, got.Fingerprint())
	}
	if err := v.Verifier.Verify(ctx, member, got); err != nil {
		return err
	}
	if want.Role != keys.RoleClient || l == nil || l.resumes {
		return nil
	}
	return v.node.admit(l, got.Fingerprint())
}

// addressOf returns the address of a member that has opened a link, or of one with whom
// there is a session, where l is nil. Who comes back does so under the name that the
// session is with: the relay may call him something else by now, and what he is then
// refused would end the session.
func (n *Node) addressOf(l *link, peer keys.Fingerprint) string {
	if l != nil && !l.resumes {
		return n.address(l.name)
	}
	names := n.namesOf(peer)
	switch {
	case l != nil && (len(names) == 0 || slices.Contains(names, l.name)):
		return n.address(l.name)
	case len(names) == 0:
		return ""
	}
	return n.address(names[0])
}

// namesOf returns the names under which there are sessions with a peer.
func (n *Node) namesOf(peer keys.Fingerprint) (names []string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, m := range n.met {
		if m.peer == peer && !over(m.session) {
			names = append(names, m.name)
		}
	}
	for l, coming := range n.coming {
		if coming == peer {
			names = append(names, l.name)
		}
	}
	return names
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

// Dial returns the session with the member of that name, and makes one if there is none.
// It may be one that the other end has begun, and one that another Dial, or Accept, has
// returned: callers share it.
//
// Errors: [ErrAbsent]; what [e2e.DialFunc] returns; the context's; [net.ErrClosed].
func (n *Node) Dial(ctx context.Context, name string) (*e2e.Session, error) {
	yields, pause := false, dialPause
	for try := 1; ; {
		s, a, changed, err := n.begin(ctx, name, yields)
		if s != nil || err != nil {
			return s, err
		}
		if a != nil {
			s, err = n.attempt(ctx, name, a)
			if err == nil {
				return s, nil
			}
			yields = yields || !a.refused.IsZero()
			if a.lost {
				continue
			}
			if try++; try > dialTries || !temporary(err) || ctx.Err() != nil {
				return nil, err
			}
			if err := n.wait(ctx, name, time.After(pause+rand.N(pause))); err != nil {
				return nil, err
			}
			pause *= 2
			continue
		}
		select {
		case <-changed:
		case <-n.closed:
			return nil, net.ErrClosed
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// temporary reports whether a dial may succeed if it is made again.
func temporary(err error) bool {
	var failed *e2e.HandshakeError
	if !errors.As(err, &failed) {
		return false
	}
	switch failed.Reason {
	case e2e.ReasonUnavailable, e2e.ReasonLost, e2e.ReasonTimeout:
		return true
	}
	return false
}

// wait waits for a session with a member, or for the time to try again.
func (n *Node) wait(ctx context.Context, name string, again <-chan time.Time) error {
	for {
		n.mu.Lock()
		changed, found := n.changed, n.find(name) != nil || n.expects(name)
		n.mu.Unlock()
		if found {
			return nil
		}
		select {
		case <-changed:
		case <-again:
			return nil
		case <-n.closed:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
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

// begin returns the session with a member, or an attempt to make one, or what to wait for
// before there can be either.
func (n *Node) begin(ctx context.Context, name string, yields bool) (*e2e.Session, *attempt, <-chan struct{}, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if closed(n.closed) {
		return nil, nil, nil, net.ErrClosed
	}
	if err := ctx.Err(); err != nil {
		return nil, nil, nil, err
	}
	if m := n.find(name); m != nil {
		m.once.Do(func() { close(m.taken) })
		return m.session, nil, nil, nil
	}
	if n.way == nil || n.dialling[name] != nil || n.expects(name) {
		return nil, nil, n.changed, nil
	}
	if _, there := n.way.find(name); !there {
		return nil, nil, nil, ErrAbsent
	}
	a := &attempt{yields: yields, cancel: func() {}}
	n.dialling[name] = a
	return nil, a, n.changed, nil
}

// attempt makes a session, if it is not overtaken.
func (n *Node) attempt(ctx context.Context, name string, a *attempt) (*e2e.Session, error) {
	dialCtx, cancel := context.WithCancel(ctx)
	defer cancel()
	n.mu.Lock()
	a.cancel = cancel
	n.mu.Unlock()
	s, err := e2e.DialFunc(dialCtx, n.address(name), n.session, func(ctx context.Context) (transport.Conn, error) {
		return n.open(ctx, name, a)
	})
	l, won := n.won(name, a, s)
	switch {
	case err != nil:
		return nil, err
	case !won:
		s.Close()
		return nil, errMet
	}
	l.confirm(ctx)
	return s, nil
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

// open makes a link to a member, and waits until it is there.
func (n *Node) open(ctx context.Context, name string, a *attempt) (transport.Conn, error) {
	for {
		n.mu.Lock()
		w, changed := n.way, n.changed
		n.mu.Unlock()
		if w != nil {
			if member, there := w.find(name); there {
				return n.openTo(w, member, name, a), nil
			}
		}
		select {
		case <-changed:
		case <-n.closed:
			return nil, net.ErrClosed
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

func (n *Node) openTo(w *way, member relay.MemberID, name string, a *attempt) *link {
	l := w.open(member, name, n.room)
	n.mu.Lock()
	defer n.mu.Unlock()
	l.order = n.next()
	if a.link == nil { // others are for coming back
		a.link = l
	}
	return l
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
