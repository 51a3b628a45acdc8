package peer

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"sync"
	"time"

	"github.com/hopseal/hopseal/e2e"
	"github.com/hopseal/hopseal/internal/engine"
	"github.com/hopseal/hopseal/keys"
	"github.com/hopseal/hopseal/transport/relay"
)

// Defaults of a [Config].
const (
	defaultMaxSessions   = 256
	defaultMaxHandshakes = 64
)

// closeTimeout is how long Close waits at most.
const closeTimeout = 5 * time.Second

// ErrLeft is matched by the errors of Accept and Dial once [Join] has stopped to join the relay
// again, because of a limit or a Decide of the sessions' Retry, or a panic in it. The error says why.
var ErrLeft = errors.New("peer: the node has left the relay, and does not join again")

// ErrAbsent is returned by Dial for somebody who is not there.
var ErrAbsent = errors.New("peer: no member of the topic has that name")

// ErrMaxMessage is matched by the error of New if messages may be too large for a relay.
var ErrMaxMessage = errors.New("MaxMessage is more than fits through a relay")

// ErrStore is matched by the error of New for a Config with a Store. A stored session comes back to
// the member that it was made with, and a new node does not know which one that was.
var ErrStore = errors.New("sessions between members cannot be stored")

// ErrNames is matched by the error of New if the Verifier pins several identities and nothing says
// which of them goes by which name: each could answer for all others.
var ErrNames = errors.New("trust.Pinned with several identities says nothing of names: set Members")

// Config says who a member is and whom it talks to.
type Config struct {
	// Session is the Config of each session, whichever end begins it. It needs an Identity and a
	// Protocol, and a Verifier if there are no Members. It must have no Store. The Verifier is
	// asked about [trust.RoleMember] at the Address of the member's name.
	Session e2e.Config

	// Authenticate decides what a member who begins a session may do, see
	// [e2e.ServerConfig].
	Authenticate func(ctx context.Context, peer e2e.Peer, credentials []byte) (e2e.Grant, error)

	// MaxSessions bounds the sessions that other members have begun. Zero means 256: a room has
	// few members.
	MaxSessions int

	// MaxHandshakes bounds the links that other members have opened and on which they have not
	// yet proved who they are. Zero means 64.
	MaxHandshakes int

	// ParkTimeout is how long a session waits for a member that is away. Zero means ten
	// minutes.
	ParkTimeout time.Duration

	// Members says who is expected under each name. There are sessions with nobody else,
	// whoever takes a name and whatever the Verifier says. Without a Verifier, Members are all
	// that is trusted. Nil leaves names to the Verifier, such as [trust.KnownPeers].
	// [trust.Pinned] with several identities knows nothing of names, and needs Members.
	Members map[string]keys.Fingerprint

	// Address returns the address about which the Verifier is asked for a member's name. The name is
	// foreign text. Nil means the topic and the name, both escaped as in a URL's path, with a
	// slash between them.
	Address func(name string) string

	// Name is the node's own name in the topic, for Join. Empty means the Identity's name.
	Name string

	// Presence is shown to the other members by Join. Nil means the public identity.
	Presence []byte
}

// A Node is one member of a topic, and its end of all sessions with others. Its methods
// may be called at any time by anybody. It must be closed.
type Node struct {
	topic   string
	address func(name string) string
	session e2e.Config
	me      keys.Fingerprint
	server  *e2e.Server
	room    int           // bytes that may wait on a link
	limits  pendingLimits // of links that others have opened

	accepted chan *e2e.Session
	closed   chan struct{}
	closing  sync.Once
	stop     context.CancelFunc // ends what Join has started
	running  sync.WaitGroup     // sessions that are being closed
	joined   sync.WaitGroup     // Join's goroutine

	mu            sync.Mutex  // guards what follows; taken before that of a membership or a link
	membership    *membership // nil while there is no relay
	leftErr       error       // why Join has stopped to join, nil if it has not
	changed       chan struct{}
	count         uint64 // of links and sessions
	dialling      map[string]*attempt
	unconfirmed   map[*link]keys.Fingerprint     // members that were let in and have not confirmed yet
	reconnections map[*e2e.Session]*reconnection // of every session
	sessions      []*peerSession
}

// New returns a Node for a topic. The caller joins the topic and calls Use. The error says what is
// missing in cfg.
func New(topic string, cfg Config) (*Node, error) {
	n := &Node{
		topic: topic, address: cfg.Address, session: cfg.Session,
		accepted: make(chan *e2e.Session), closed: make(chan struct{}), changed: make(chan struct{}),
		stop:     func() {},
		dialling: map[string]*attempt{}, unconfirmed: map[*link]keys.Fingerprint{}, reconnections: map[*e2e.Session]*reconnection{},
	}
	if n.address == nil {
		n.address = func(name string) string { return url.PathEscape(topic) + "/" + url.PathEscape(name) }
	}
	s := &n.session
	s.Notify = n.notifier(s.Notify)
	s.MaxMessage = cmp.Or(s.MaxMessage, defaultMaxMessage())
	s.Window = cmp.Or(s.Window, engine.DefaultWindow)
	n.limits = limitsFor(cmp.Or(cfg.MaxHandshakes, defaultMaxHandshakes))
	if s.Store != nil {
		return nil, fmt.Errorf("peer: %w", ErrStore)
	}
	var err error
	if s.Verifier, err = newVerifier(n, cfg); err != nil {
		return nil, err
	}
	if n.server, err = e2e.NewServer(n.serverConfig(cfg), n.handleSession); err != nil {
		return nil, err
	}
	if e2e.MaxFrame(s.MaxMessage) > maxPayload {
		return nil, fmt.Errorf("peer: %w: %d bytes", ErrMaxMessage, s.MaxMessage)
	}
	n.me = s.Identity.Fingerprint()
	n.room = 2*s.Window + 2*(s.MaxMessage+maxPayload)
	return n, nil
}

// serverConfig returns the Config for the sessions that others begin.
func (n *Node) serverConfig(cfg Config) e2e.ServerConfig {
	return e2e.ServerConfig{
		Identity: n.session.Identity, Verifier: n.session.Verifier, Protocol: n.session.Protocol, Options: n.session.Options,
		Authenticate:  cfg.Authenticate,
		MaxSessions:   cmp.Or(cfg.MaxSessions, defaultMaxSessions),
		MaxHandshakes: 2 * (n.limits.strangers + n.limits.others), // a handshake may outlive its link
		ParkTimeout:   cfg.ParkTimeout,
	}
}

// defaultMaxMessage returns the default of sessions, if that fits through a relay.
func defaultMaxMessage() int {
	if e2e.MaxFrame(engine.DefaultMaxMessage) <= maxPayload {
		return engine.DefaultMaxMessage
	}
	return 128 << 10
}

// Use makes the node reach the others through client, which has joined the topic with this result.
// From now on the caller gives Handle what client.Next returns. The node stops using the client before.
// The sessions go on.
func (n *Node) Use(client *relay.Client, joined *relay.Joined) {
	w := newMembership(client, joined, n.session.Identity.Name())
	n.mu.Lock()
	old := n.membership
	n.membership, n.leftErr = w, nil
	n.broadcast()
	n.mu.Unlock()
	if old != nil {
		old.end()
	}
	select {
	case <-n.closed:
		n.Lost()
	default:
	}
}

// Lost tells the node that its relay is gone. The sessions wait for the next Use.
func (n *Node) Lost() { n.lost(nil) }

// leave is Lost for when nobody joins the relay again.
func (n *Node) leave(why error) { n.lost(fmt.Errorf("%w: %w", ErrLeft, why)) }

func (n *Node) lost(left error) {
	n.mu.Lock()
	old := n.membership
	n.membership, n.leftErr = nil, left
	n.broadcast()
	n.mu.Unlock()
	if old != nil {
		old.end()
	}
}

// Handle takes an event of the client in use. It reports whether the event concerns nobody but the
// node's sessions. It never waits.
func (n *Node) Handle(event relay.Event) (mine bool) {
	n.mu.Lock()
	w := n.membership
	n.mu.Unlock()
	if w == nil {
		return false
	}
	switch e := event.(type) {
	case relay.Entered:
		if e.Topic == n.topic {
			w.entered(e.Member)
			n.membersChanged()
		}
	case relay.Left:
		if e.Topic == n.topic {
			w.left(e.ID)
			n.membersChanged()
		}
	case relay.Refused:
		return e.Topic == n.topic && e.Code == relay.NotThere
	case relay.Direct:
		if e.Topic == n.topic {
			n.handleDirect(w, e)
			return true
		}
	}
	return false
}

// handleDirect handles a frame of another member.
func (n *Node) handleDirect(w *membership, e relay.Direct) {
	f, ok := parse(e.Payload)
	if !ok {
		return
	}
	l := w.link(e.From, f.id)
	switch {
	case f.kind == kindOpen && l == nil:
		n.acceptLink(w, e.From, f)
	case l == nil: // it is over here
	case f.kind == kindData:
		l.deliver(f.body)
	case f.kind == kindClose:
		code, reason, _ := parseClose(f.body)
		l.closedByPeer(code, reason)
	case f.kind == kindConfirm:
		n.confirm(l)
	}
}

// acceptLink serves a link that a member opens, if the limits allow one more.
func (n *Node) acceptLink(w *membership, from relay.MemberID, f frame) {
	name, ok := w.nameOf(from)
	if !ok {
		return
	}
	l := newLink(w, f.id, from, name, false, n.room)
	l.kind = n.openerOf(name, f.body)
	n.mu.Lock()
	l.order = n.next()
	n.mu.Unlock()
	out, ok := w.admit(l, n.limits)
	if !ok {
		w.refuse(from, f.id)
		return
	}
	if out != nil {
		w.evict(out)
	}
	w.added(l)
	l.deliver(f.body)
	go func() {
		n.server.ServeConn(context.WithValue(context.Background(), linkKeyOf{}, l), l)
		n.forget(l)
	}()
}

// linkKeyOf is the key of a context's link.
type linkKeyOf struct{}

// Accept waits for a session that another member has begun and that no Dial has returned.
// A program that wants no such sessions has to accept and close them. The error is the context's,
// [net.ErrClosed], or [ErrLeft].
func (n *Node) Accept(ctx context.Context) (*e2e.Session, error) {
	for {
		changed, left := n.status()
		if left != nil && !closed(n.closed) {
			return nil, left
		}
		select {
		case s := <-n.accepted:
			return s, nil
		case <-changed:
		case <-n.closed:
			return nil, net.ErrClosed
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// status returns a channel that is closed at the next change, and why the node has left, if it has.
func (n *Node) status() (changed <-chan struct{}, left error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.changed, n.leftErr
}

// Close ends all sessions, and what Join has started. It closes the sessions that others have begun
// with [e2e.CodeGoingAway]. It waits a few seconds at most.
func (n *Node) Close() error {
	n.closing.Do(func() {
		close(n.closed)
		ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
		defer cancel()
		n.mu.Lock()
		for _, m := range n.sessions {
			if m.dialled {
				n.running.Go(func() { m.session.Close() })
			}
		}
		for _, a := range n.dialling {
			a.cancel()
		}
		n.mu.Unlock()
		n.server.Shutdown(ctx)
		n.running.Wait()
		n.stop()
		n.joined.Wait()
		n.Lost()
	})
	return nil
}

// next returns the number of a new link or session. The caller holds n.mu.
func (n *Node) next() uint64 {
	n.count++
	return n.count
}

// broadcast wakes whoever waits for a change. The caller holds n.mu.
func (n *Node) broadcast() {
	close(n.changed)
	n.changed = make(chan struct{})
}

// membersChanged wakes whoever waits for a member.
func (n *Node) membersChanged() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.broadcast()
}
