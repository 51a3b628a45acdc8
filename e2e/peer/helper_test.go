package peer_test

import (
	"context"
	"crypto/rand"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hopseal/hopseal/e2e"
	"github.com/hopseal/hopseal/e2e/peer"
	"github.com/hopseal/hopseal/internal/leak"
	"github.com/hopseal/hopseal/keys"
	"github.com/hopseal/hopseal/transport"
	"github.com/hopseal/hopseal/transport/redial"
	"github.com/hopseal/hopseal/transport/relay"
	"github.com/hopseal/hopseal/transport/relay/frame"
)

func TestMain(m *testing.M) {
	leak.Main(m)
}

// low and high are two members in the order of their fingerprints, mallory is another.
var low, high, mallory = inOrder()

func inOrder() (a, b, c *keys.Identity) {
	a, b = newIdentity("ann"), newIdentity("bob")
	if x, y := a.Fingerprint(), b.Fingerprint(); string(x[:]) > string(y[:]) {
		a, b = b, a
	}
	return a, b, newIdentity("mallory")
}

func newIdentity(name string) *keys.Identity {
	id, err := keys.GenerateIdentity(name)
	if err != nil {
		panic(err)
	}
	return id
}

// bubble runs f on a clock of its own, which starts when the identities are valid.
func bubble(t *testing.T, f func(t *testing.T)) {
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(time.Until(mallory.Public().Issued()))
		f(t)
	})
}

// A hub is a relay that runs everywhere, with one topic, and as hostile as the test wants.
type hub struct {
	change func(from, to string, payload []byte) [][]byte // of what is sent; nil changes nothing
	delay  func() time.Duration                           // before each event, one after the other; nil: none
	late   time.Duration                                  // by how much each event is

	mu    sync.Mutex
	seats map[frame.MemberID]*seat
}

type seat struct {
	frame.Member
	conn *transport.PipeConn
	out  chan event
}

type event struct {
	bytes []byte
	sent  time.Time
}

func (s *seat) put(b []byte) { s.out <- event{b, time.Now()} }

func newHub() *hub { return &hub{seats: map[frame.MemberID]*seat{}} }

// connect returns the client's end of a new connection.
func (h *hub) connect() (*transport.PipeConn, *seat) {
	near, far := transport.Pipe(transport.WithMaxMessage(1 << 20))
	s := &seat{conn: far, out: make(chan event, 10_000)}
	rand.Read(s.ID[:])
	go h.serve(s)
	return near, s
}

func (h *hub) serve(s *seat) {
	gone := make(chan struct{})
	go func() {
		for {
			select {
			case e := <-s.out:
				if h.delay != nil {
					time.Sleep(h.delay())
				}
				time.Sleep(time.Until(e.sent.Add(h.late)))
				if s.conn.Write(context.Background(), e.bytes) != nil {
					return
				}
			case <-gone:
				return
			}
		}
	}()
	defer h.leave(s)
	defer close(gone)
	for {
		b, err := s.conn.Read(context.Background(), nil)
		if err != nil {
			return
		}
		request, err := frame.ParseRequest(b)
		if err != nil {
			panic(err)
		}
		switch r := request.(type) {
		case frame.Join:
			h.join(s, r)
		case frame.Send:
			h.send(s, r)
		}
	}
}

func (h *hub) join(s *seat, r frame.Join) {
	h.mu.Lock()
	defer h.mu.Unlock()
	s.Member.Name, s.Presence = r.Name, r.Presence
	joined := frame.Joined{Topic: r.Topic, ID: s.ID}
	for _, other := range h.seats {
		joined.Members = append(joined.Members, other.Member)
		other.put(frame.Entered{Topic: r.Topic, Member: s.Member}.Append(nil))
	}
	h.seats[s.ID] = s
	s.put(joined.Append(nil))
}

func (h *hub) leave(s *seat) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.seats, s.ID)
	for _, other := range h.seats {
		other.put(frame.Left{Topic: topic, ID: s.ID}.Append(nil))
	}
}

func (h *hub) send(from *seat, r frame.Send) {
	h.mu.Lock()
	defer h.mu.Unlock()
	to := h.seats[r.To]
	if to == nil {
		from.put(frame.Refused{Topic: r.Topic, Code: frame.NotThere}.Append(nil))
		return
	}
	payloads := [][]byte{r.Payload}
	if h.change != nil {
		payloads = h.change(from.Name, to.Name, r.Payload)
	}
	for _, p := range payloads {
		to.put(frame.Direct{Topic: r.Topic, From: from.ID, Payload: p}.Append(nil))
	}
}

const topic = "room"

// A member is a node at a hub, whose connection the test can cut.
type member struct {
	*peer.Node
	hub  *hub
	name string

	mu   sync.Mutex
	near *transport.PipeConn
	seat *seat
	done chan struct{} // closed when the events of near have ended
}

func trusting(me *keys.Identity, others ...*keys.Identity) peer.Config {
	members := map[string]keys.Fingerprint{}
	for _, o := range others {
		members[o.Name()] = o.Fingerprint()
	}
	return peer.Config{Members: members, Session: e2e.Config{
		Identity: me, Protocol: "test/1", Options: e2e.Options{Logger: slog.New(slog.DiscardHandler)},
		Retry: redial.Policy{Base: time.Millisecond, Cap: 50 * time.Millisecond},
	}}
}

// enter makes a member that trusts the others.
func enter(t testing.TB, h *hub, me *keys.Identity, others ...*keys.Identity) *member {
	t.Helper()
	return enterAs(t, h, me.Name(), trusting(me, others...))
}

func enterAs(t testing.TB, h *hub, name string, cfg peer.Config) *member {
	t.Helper()
	node, err := peer.New(topic, cfg)
	if err != nil {
		t.Fatal(err)
	}
	m := &member{Node: node, hub: h, name: name}
	m.join()
	time.Sleep(50 * time.Millisecond) // of the bubble's: the others know by then
	t.Cleanup(func() {
		node.Close()
		m.cut()
		time.Sleep(50 * time.Millisecond)
	})
	return m
}

// join gives the node a new way to the hub.
func (m *member) join() {
	near, seat := m.hub.connect()
	client := relay.NewClient(near)
	joined, err := client.Join(context.Background(), topic, m.name, nil)
	if err != nil {
		panic(err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.near, m.seat, m.done = near, seat, make(chan struct{})
	m.Use(client, joined)
	go func() {
		defer close(m.done)
		for {
			event, err := client.Next(context.Background())
			if err != nil {
				m.Lost()
				client.Close()
				return
			}
			m.Handle(event)
		}
	}()
}

// cut breaks the member's connection to the hub.
func (m *member) cut() {
	m.mu.Lock()
	near, done := m.near, m.done
	m.mu.Unlock()
	near.Cut()
	<-done
}

// id returns who the member is for the hub.
func (m *member) id() frame.MemberID {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.seat.ID
}

func mustSend(t testing.TB, s *e2e.Session, message string) {
	t.Helper()
	if err := s.Send(t.Context(), []byte(message)); err != nil {
		t.Fatalf("Send: %v", err)
	}
}

func mustReceive(t testing.TB, s *e2e.Session, want string) {
	t.Helper()
	got, err := s.Receive(t.Context())
	if err != nil || string(got) != want {
		t.Fatalf("Receive: %.60q, %v, want %.60q", got, err, want)
	}
}

// met has a member meet another, and returns its session: dialled by it, or by the other.
func met(t *testing.T, a, other *member, name, othersName string, dials bool) *e2e.Session {
	t.Helper()
	if !dials {
		if _, err := other.Dial(t.Context(), name); err != nil {
			t.Fatal(err)
		}
		return mustAccept(t, a)
	}
	s, err := a.Dial(t.Context(), othersName)
	if err != nil {
		t.Fatal(err)
	}
	mustAccept(t, other)
	return s
}
