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

// ErrLeft is matched by the errors of Accept and Dial once [Join] does not join the relay
// again: by a limit or a Decide of the sessions' Retry, or a panic in it. The error says why.
var ErrLeft = errors.New("peer: the node has left the relay, and does not join again")

// ErrAbsent is returned by Dial for somebody who is not there.
var ErrAbsent = errors.New("peer: no member of the topic has that name")

// ErrMaxMessage is matched by the error of New where messages are too large for a relay.
var ErrMaxMessage = errors.New("MaxMessage is more than fits through a relay")

// ErrStore is matched by the error of New where sessions are to be stored. A session comes
// back to whom it was made with, and a node would have to know that from before.
var ErrStore = errors.New("sessions between members cannot be stored")

// ErrNames is matched by the error of New where the Verifier pins several identities, and
// nobody says which of them goes by which name: each could answer for all others.
var ErrNames = errors.New("trust.Pinned with several identities says nothing of names: set Members")

// Config says who a member is and whom it talks to.
type Config struct {
	// Session is the Config of each session, whichever end begins it. Its Identity and
	// Protocol are required, a Verifier where there are no Members, and there must be no
	// Store. The Verifier is asked about [trust.RoleMember] at the Address of the member's
	// name.
	Session e2e.Config

	// Authenticate decides what a member who begins a session may do, see
	// [e2e.ServerConfig].
	Authenticate func(ctx context.Context, peer e2e.Peer, credentials []byte) (e2e.Grant, error)

	// MaxSessions is how many sessions there may be that others have begun. Zero means 256:
	// a room has few members.
	MaxSessions int

	// MaxHandshakes is how many links there may be that others have opened and on which
	// they have not proved who they are. Zero means 64.
	MaxHandshakes int

	// ParkTimeout is how long a session waits for a member that is away. Zero means ten
	// minutes.
	ParkTimeout time.Duration

	// Members says who is expected under each name: sessions come about with nobody
	// else, whoever takes a name and whatever the Verifier thinks. Without a Verifier
	// it is all that is trusted. Nil leaves names to the Verifier, such as
	// [trust.KnownPeers]; [trust.Pinned] with several identities knows nothing of names,
	// and needs Members.
	Members map[string]keys.Fingerprint

	// Address is what the Verifier is asked about for a member's name, foreign text. Nil
	// means the topic and the name, both escaped as in a URL's path, with a slash between
	// them.
	Address func(name string) string

	// Name is the node's own in the topic, for Join. Empty means that of the Identity.
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
	room    int // bytes that may wait on a link
	shares  shares

	accepted chan *e2e.Session
	closed   chan struct{}
	closing  sync.Once
	stop     context.CancelFunc // ends what Join has started
	running  sync.WaitGroup     // sessions that are being closed
	joined   sync.WaitGroup     // Join's goroutine

	mu       sync.Mutex // guards what follows; taken before a way's or a link's
	way      *way       // nil while there is no relay
	left     error      // why there will be none, by itself
	changed  chan struct{}
	count    uint64 // of links and sessions
	dialling map[string]*attempt
	coming   map[*link]keys.Fingerprint // whom we have let in, and who has not confirmed it yet
	waiting  map[*e2e.Session]*comeback // of every session
	met      []*meeting
}

// New returns a Node for a topic, which the caller joins and hands over to Use. The error
// says what is missing in cfg.
func New(topic string, cfg Config) (*Node, error) {
	n := &Node{
		topic: topic, address: cfg.Address, session: cfg.Session,
		accepted: make(chan *e2e.Session), closed: make(chan struct{}), changed: make(chan struct{}),
		stop:     func() {},
		dialling: map[string]*attempt{}, coming: map[*link]keys.Fingerprint{}, waiting: map[*e2e.Session]*comeback{},
	}
	if n.address == nil {
		n.address = func(name string) string { return url.PathEscape(topic) + "/" + url.PathEscape(name) }
	}
	s := &n.session
	s.Notify = n.notifier(s.Notify)
	s.MaxMessage = cmp.Or(s.MaxMessage, defaultMaxMessage())
	s.Window = cmp.Or(s.Window, engine.DefaultWindow)
	n.shares = sharesOf(cmp.Or(cfg.MaxHandshakes, defaultMaxHandshakes))
	if s.Store != nil {
		return nil, fmt.Errorf("peer: %w", ErrStore)
	}
	var err error
	if s.Verifier, err = newVerifier(n, cfg); err != nil {
		return nil, err
	}
	if n.server, err = e2e.NewServer(n.serverConfig(cfg), n.hand); err != nil {
		return nil, err
	}
	if e2e.MaxFrame(s.MaxMessage) > maxPayload {
		return nil, fmt.Errorf("peer: %w: %d bytes", ErrMaxMessage, s.MaxMessage)
	}
	n.me = s.Identity.Fingerprint()
	n.room = 2*s.Window + 2*(s.MaxMessage+maxPayload)
	return n, nil
}

// serverConfig is for the sessions that others begin.
func (n *Node) serverConfig(cfg Config) e2e.ServerConfig {
	return e2e.ServerConfig{
		Identity: n.session.Identity, Verifier: n.session.Verifier, Protocol: n.session.Protocol, Options: n.session.Options,
		Authenticate:  cfg.Authenticate,
		MaxSessions:   cmp.Or(cfg.MaxSessions, defaultMaxSessions),
		MaxHandshakes: 2 * (n.shares.strangers + n.shares.others), // one may outlive its link's place
		ParkTimeout:   cfg.ParkTimeout,
	}
}

// defaultMaxMessage is that of sessions, where it fits.
func defaultMaxMessage() int {
	if e2e.MaxFrame(engine.DefaultMaxMessage) <= maxPayload {
		return engine.DefaultMaxMessage
	}
	return 128 << 10
}

// Use has the node reach the others through client, which has joined the topic with this
// result. From now on Handle must be given what client.Next returns. The client before is
// not used any more; the sessions go on.
func (n *Node) Use(client *relay.Client, joined *relay.Joined) {
	w := newWay(client, joined, n.session.Identity.Name())
	n.mu.Lock()
	old := n.way
	n.way, n.left = w, nil
	n.news()
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

// leave is Lost where nobody joins the relay again.
func (n *Node) leave(why error) { n.lost(fmt.Errorf("%w: %w", ErrLeft, why)) }

func (n *Node) lost(left error) {
	n.mu.Lock()
	old := n.way
	n.way, n.left = nil, left
	n.news()
	n.mu.Unlock()
	if old != nil {
		old.end()
	}
}

// Handle takes an event of the client in use, and reports whether it was of the node's
// sessions only. It never waits.
func (n *Node) Handle(event relay.Event) (mine bool) {
	n.mu.Lock()
	w := n.way
	n.mu.Unlock()
	if w == nil {
		return false
	}
	switch e := event.(type) {
	case relay.Entered:
		if e.Topic == n.topic {
			w.entered(e.Member)
			n.tell()
		}
	case relay.Left:
		if e.Topic == n.topic {
			w.left(e.ID)
			n.tell()
		}
	case relay.Refused:
		return e.Topic == n.topic && e.Code == relay.NotThere
	case relay.Direct:
		if e.Topic == n.topic {
			n.take(w, e)
			return true
		}
	}
	return false
}

// take does what a member has sent.
func (n *Node) take(w *way, e relay.Direct) {
	f, ok := parse(e.Payload)
	if !ok {
		return
	}
	l := w.link(e.From, f.id)
	switch {
	case f.kind == kindOpen && l == nil:
		n.greet(w, e.From, f)
	case l == nil: // it is over here
	case f.kind == kindData:
		l.deliver(f.body)
	case f.kind == kindClose:
		code, reason, _ := parseClose(f.body)
		l.closed(code, reason)
	case f.kind == kindConfirm:
		n.confirm(l)
	}
}

// greet takes a link that a member opens, if there is a place for one more.
func (n *Node) greet(w *way, from relay.MemberID, f frame) {
	name, ok := w.nameOf(from)
	if !ok {
		return
	}
	l := newLink(w, f.id, from, name, false, n.room)
	l.kind = n.kindOf(name, f.body)
	n.mu.Lock()
	l.order = n.next()
	n.mu.Unlock()
	out, ok := w.admit(l, n.shares)
	if !ok {
		w.refuse(from, f.id)
		return
	}
	if out != nil {
		w.turnOut(out)
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

// Accept waits for a session that somebody else has begun, and that no Dial has returned.
// A node that wants none has to take and close them. The error is the context's,
// [net.ErrClosed], or [ErrLeft].
func (n *Node) Accept(ctx context.Context) (*e2e.Session, error) {
	for {
		changed, left := n.now()
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

// now returns what is closed when there is something new, and why there is no relay any more.
func (n *Node) now() (changed <-chan struct{}, left error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.changed, n.left
}

// Close ends all sessions, with [e2e.CodeGoingAway] those that others have begun, and what
// Join has started. It waits a few seconds at most.
func (n *Node) Close() error {
	n.closing.Do(func() {
		close(n.closed)
		ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
		defer cancel()
		n.mu.Lock()
		for _, m := range n.met {
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

// next numbers a link or a session. It is called under mu.
func (n *Node) next() uint64 {
	n.count++
	return n.count
}

// news wakes whoever waits for a change. It is called under mu.
func (n *Node) news() {
	close(n.changed)
	n.changed = make(chan struct{})
}

func (n *Node) tell() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.news()
}
