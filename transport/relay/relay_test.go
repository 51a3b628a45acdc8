//go:build !js

package relay_test

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hopseal/hopseal/internal/leak"
	"github.com/hopseal/hopseal/internal/slowtest"
	"github.com/hopseal/hopseal/transport"
	"github.com/hopseal/hopseal/transport/relay"
	"github.com/hopseal/hopseal/transport/relay/frame"
)

func TestMain(m *testing.M) { leak.Main(m) }

// local is for dials without TLS: all servers here are on this machine.
var local = &transport.DialOptions{Policy: transport.Development}

// noLog is the Logger of tests that are about something else.
var noLog = slog.New(slog.DiscardHandler)

// start serves a hub on loopback until the test ends.
func start(t *testing.T, opts relay.Options) (hub *relay.Hub, url string) {
	t.Helper()
	opts.Accept = &transport.AcceptOptions{Policy: transport.Development}
	opts.Logger = cmp.Or(opts.Logger, noLog)
	return serveHub(t, relay.New(opts))
}

func serveHub(t *testing.T, hub *relay.Hub) (_ *relay.Hub, url string) {
	t.Helper()
	server := httptest.NewServer(hub)
	t.Cleanup(func() {
		if err := hub.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
		server.Close()
	})
	return hub, "ws" + strings.TrimPrefix(server.URL, "http")
}

func connect(t *testing.T, url string) *relay.Client {
	t.Helper()
	c, err := relay.Dial(t.Context(), url, local)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func join(t *testing.T, c *relay.Client, topic, name string) *relay.Joined {
	t.Helper()
	joined, err := c.Join(t.Context(), topic, name, []byte("presence of "+name))
	if err != nil {
		t.Fatalf("%s joining %s: %v", name, topic, err)
	}
	return joined
}

// next returns the next event, which has to be an E.
func next[E relay.Event](t *testing.T, c *relay.Client) E {
	t.Helper()
	event, err := c.Next(t.Context())
	if err != nil {
		t.Fatalf("Next: %v", err)
	}
	e, ok := event.(E)
	if !ok {
		t.Fatalf("got %#v, want a %T", event, e)
	}
	return e
}

func publish(t *testing.T, c *relay.Client, topic, payload string) {
	t.Helper()
	if err := c.Publish(t.Context(), topic, []byte(payload)); err != nil {
		t.Fatalf("Publish: %v", err)
	}
}

// wantRefused checks that a Join was refused for the given reason.
func wantRefused(t *testing.T, err error, code relay.Code) {
	t.Helper()
	refused, ok := errors.AsType[*relay.RefusedError](err)
	if !ok || refused.Code != code {
		t.Fatalf("got %v, want refusal %q", err, code)
	}
}

func TestMembersSeeEachOther(t *testing.T) {
	_, url := start(t, relay.Options{})
	ann, bob := connect(t, url), connect(t, url)
	a := join(t, ann, "room", "ann")
	if len(a.Members) != 0 || a.Topic != "room" {
		t.Fatalf("the first member got %+v", a)
	}
	b := join(t, bob, "room", "bob")
	if len(b.Members) != 1 || b.Members[0].ID != a.ID || b.Members[0].Name != "ann" ||
		string(b.Members[0].Presence) != "presence of ann" {
		t.Fatalf("the second member got %+v", b)
	}
	if e := next[relay.Entered](t, ann); e.Topic != "room" || e.ID != b.ID || e.Name != "bob" || string(e.Presence) != "presence of bob" {
		t.Fatalf("got %+v", e)
	}
	if err := bob.Leave(t.Context(), "room"); err != nil {
		t.Fatal(err)
	}
	if e := next[relay.Left](t, ann); e.Topic != "room" || e.ID != b.ID {
		t.Fatalf("got %+v", e)
	}
	if again := join(t, bob, "room", "bob"); again.ID == b.ID {
		t.Fatal("an id was given out twice")
	}
	next[relay.Entered](t, ann)
	bob.Close()
	next[relay.Left](t, ann)
}

func TestMessagesGoToEveryOtherMember(t *testing.T) {
	_, url := start(t, relay.Options{})
	clients := []*relay.Client{connect(t, url), connect(t, url), connect(t, url)}
	ids := make([]relay.MemberID, len(clients))
	for i, c := range clients {
		ids[i] = join(t, c, "room", fmt.Sprint("member ", i)).ID
		for _, before := range clients[:i] {
			next[relay.Entered](t, before)
		}
	}
	for i, sender := range clients {
		for n := range 3 {
			publish(t, sender, "room", fmt.Sprint(i, " says ", n))
		}
		for j, c := range clients {
			for n := 0; j != i && n < 3; n++ {
				m := next[relay.Message](t, c)
				if m.From != ids[i] || m.Topic != "room" || string(m.Payload) != fmt.Sprint(i, " says ", n) {
					t.Fatalf("%d got %+v", j, m)
				}
			}
		}
	}
}

func TestTopicsAreSeparate(t *testing.T) {
	_, url := start(t, relay.Options{})
	ann, bob := connect(t, url), connect(t, url)
	join(t, ann, "one", "ann")
	join(t, ann, "two", "ann")
	join(t, bob, "two", "bob")
	if e := next[relay.Entered](t, ann); e.Topic != "two" {
		t.Fatalf("got %+v", e)
	}
	publish(t, ann, "one", "alone here")
	publish(t, ann, "two", "hello")
	if m := next[relay.Message](t, bob); m.Topic != "two" || string(m.Payload) != "hello" {
		t.Fatalf("got %+v", m)
	}
}

func TestSendReachesOneMember(t *testing.T) {
	_, url := start(t, relay.Options{})
	ann, bob, eve := connect(t, url), connect(t, url), connect(t, url)
	a, b := join(t, ann, "room", "ann"), join(t, bob, "room", "bob")
	join(t, eve, "room", "eve")
	next[relay.Entered](t, ann)
	next[relay.Entered](t, ann)
	next[relay.Entered](t, bob)
	send := func(from *relay.Client, topic string, to relay.MemberID) {
		t.Helper()
		if err := from.Send(t.Context(), topic, to, []byte("for you")); err != nil {
			t.Fatal(err)
		}
	}
	send(ann, "room", b.ID)
	if d := next[relay.Direct](t, bob); d.From != a.ID || d.Topic != "room" || string(d.Payload) != "for you" {
		t.Fatalf("got %+v", d)
	}
	send(ann, "room", a.ID) // a member cannot send to itself
	send(ann, "room", relay.MemberID{1})
	send(ann, "elsewhere", b.ID)
	for _, want := range []relay.Code{relay.NotThere, relay.NotThere, relay.NotJoined} {
		if e := next[relay.Refused](t, ann); e.Code != want {
			t.Fatalf("refused: %q, want %q", e.Code, want)
		}
	}
	publish(t, ann, "room", "for all")
	if m := next[relay.Message](t, eve); string(m.Payload) != "for all" { // eve got nothing before
		t.Fatalf("got %+v", m)
	}
}

func TestRefusals(t *testing.T) {
	_, url := start(t, relay.Options{MaxTopics: 2, MaxMembers: 2})
	ann, bob, eve := connect(t, url), connect(t, url), connect(t, url)
	join(t, ann, "room", "ann")
	_, err := bob.Join(t.Context(), "room", "ann", nil)
	wantRefused(t, err, relay.NameTaken)
	if want := `relay: cannot join "room": the name is taken there, choose another`; err.Error() != want {
		t.Errorf("got %q, want %q", err, want)
	}
	join(t, bob, "room", "bob")
	_, err = eve.Join(t.Context(), "room", "eve", nil)
	wantRefused(t, err, relay.TopicFull)
	_, err = bob.Join(t.Context(), "room", "bob again", nil)
	wantRefused(t, err, relay.AlreadyJoined)
	join(t, bob, "two", "bob")
	_, err = bob.Join(t.Context(), "three", "bob", nil)
	wantRefused(t, err, relay.TooManyTopics)
	publish(t, bob, "three", "not a member there")
	if e := next[relay.Refused](t, bob); e.Code != relay.NotJoined || e.Topic != "three" {
		t.Fatalf("got %+v", e)
	}
	bob.Leave(t.Context(), "three")
	next[relay.Refused](t, bob)
	bob.Leave(t.Context(), "two")
	join(t, bob, "three", "bob")
}

func TestBadJoinsAreRefusedByBothSides(t *testing.T) {
	_, url := start(t, relay.Options{})
	good := connect(t, url)
	raw, err := transport.Dial(t.Context(), url, local)
	if err != nil {
		t.Fatal(err)
	}
	defer raw.Close(transport.CodeNormal, "")
	for want, j := range map[relay.Code]frame.Join{
		relay.BadTopic: {Topic: strings.Repeat("t", frame.MaxTopic+1), Name: "n"},
		relay.BadName:  {Topic: "t", Name: ""},
		relay.TooLarge: {Topic: "t", Name: "n", Presence: make([]byte, frame.MaxPresence+1)},
	} {
		_, err := good.Join(t.Context(), j.Topic, j.Name, j.Presence)
		wantRefused(t, err, want)
		if err := raw.Write(t.Context(), j.Append(nil)); err != nil {
			t.Fatal(err)
		}
		b, err := raw.Read(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		event, err := frame.ParseEvent(b)
		if refused, ok := event.(relay.Refused); err != nil || !ok || refused.Code != want {
			t.Fatalf("got %+v, %v, want %q", event, err, want)
		}
	}
}

func TestA47RefusalsEscapeTheTopic(t *testing.T) {
	err := &relay.RefusedError{Topic: "\x1b[2J\n", Code: relay.NameTaken}
	if want := `relay: cannot join "\x1b[2J\n": the name is taken there, choose another`; err.Error() != want {
		t.Fatalf("got %q, want %q", err, want)
	}
}

func TestGarbageClosesOnlyItsSender(t *testing.T) {
	_, url := start(t, relay.Options{})
	ann, bob := connect(t, url), connect(t, url)
	join(t, ann, "room", "ann")
	join(t, bob, "room", "bob")
	next[relay.Entered](t, ann)
	for _, garbage := range [][]byte{{}, []byte("hello"), frame.Left{Topic: "room"}.Append(nil),
		append(frame.Leave{Topic: "room"}.Append(nil), 0)} {
		raw, err := transport.Dial(t.Context(), url, local)
		if err != nil {
			t.Fatal(err)
		}
		defer raw.Close(transport.CodeNormal, "")
		raw.Write(t.Context(), garbage)
		_, err = raw.Read(t.Context(), nil)
		var closed *transport.CloseError
		if !errors.As(err, &closed) || closed.Code != transport.CodeProtocol || !closed.Remote {
			t.Fatalf("%q: %v", garbage, err)
		}
	}
	publish(t, ann, "room", "still here")
	next[relay.Message](t, bob)
}

func TestOversizeClosesOnlyItsSender(t *testing.T) {
	_, url := start(t, relay.Options{MaxMessage: 1000})
	ann, bob, eve := connect(t, url), connect(t, url), connect(t, url)
	for name, c := range map[string]*relay.Client{"ann": ann, "bob": bob, "eve": eve} {
		if _, err := c.Join(t.Context(), name+"'s own room", name, nil); err != nil {
			t.Fatal(err)
		}
	}
	join(t, ann, "room", "ann")
	join(t, bob, "room", "bob")
	next[relay.Entered](t, ann)
	publish(t, eve, "room", strings.Repeat("x", 1001))
	_, err := eve.Next(t.Context())
	var closed *transport.CloseError
	if !errors.As(err, &closed) || closed.Code != transport.CodeTooLarge {
		t.Fatalf("got %v", err)
	}
	publish(t, ann, "room", strings.Repeat("x", 900))
	next[relay.Message](t, bob)
}

func TestOversizeOverAnyTransport(t *testing.T) {
	hub := relay.New(relay.Options{MaxMessage: 1000})
	a, b := transport.Pipe()
	served := make(chan error)
	go func() { served <- hub.ServeConn(b) }()
	client := relay.NewClient(a)
	defer client.Close()
	publish(t, client, "room", strings.Repeat("x", 1000))
	if err := <-served; !errors.Is(err, transport.ErrTooLarge) {
		t.Fatalf("got %v", err)
	}
}

func TestA43ForeignPagesAreRefused(t *testing.T) {
	_, url := start(t, relay.Options{Origins: []string{"https://chat.example.com"}})
	for origin, status := range map[string]int{"https://evil.example.com": 403, "https://chat.example.com": 0} {
		c, err := relay.Dial(t.Context(), url, &transport.DialOptions{Policy: transport.Development, Header: http.Header{"Origin": {origin}}})
		if status == 0 {
			if err != nil {
				t.Fatalf("%s: %v", origin, err)
			}
			c.Close()
			continue
		}
		var refused *transport.DialError
		if !errors.As(err, &refused) || refused.Status != status {
			t.Fatalf("%s: %v", origin, err)
		}
	}
}

func TestTheHubTakesSoManyConnections(t *testing.T) {
	_, url := start(t, relay.Options{MaxConns: 1})
	first := connect(t, url)
	join(t, first, "room", "ann") // waits until the hub has let it in
	_, err := relay.Dial(t.Context(), url, local)
	var refused *transport.DialError
	if !errors.As(err, &refused) || refused.Status != 503 || refused.Permanent() {
		t.Fatalf("got %v", err)
	}
	first.Close()
	for { // the hub may notice a little later
		c, err := relay.Dial(t.Context(), url, local)
		if err == nil {
			c.Close()
			return
		}
		if !errors.As(err, &refused) || refused.Status != 503 {
			t.Fatal(err)
		}
	}
}

// Each client behind a trusted hop has its own share of connections. A client that is not behind one
// gets no second share by claiming another address.
func TestA49AddressesBehindAHop(t *testing.T) {
	for hops, taken := range map[string]int{"127.0.0.0/8": 2, "10.0.0.0/8": 1} {
		hub := relay.New(relay.Options{MaxConnsPerAddress: 1,
			Accept: &transport.AcceptOptions{Sealed: true, TrustedHops: []netip.Prefix{netip.MustParsePrefix(hops)}}})
		server := httptest.NewServer(hub)
		got := 0
		for _, client := range []string{"192.0.2.1", "192.0.2.2"} {
			c, err := relay.Dial(t.Context(), server.URL, &transport.DialOptions{Sealed: true, Header: http.Header{"X-Forwarded-For": {client}}})
			if err == nil {
				got++
				defer c.Close()
				join(t, c, "room "+client, "ann") // waits until the hub has let it in
			}
		}
		if got != taken {
			t.Errorf("%s: %d clients are in, want %d", hops, got, taken)
		}
		hub.Shutdown(t.Context())
		server.Close()
	}
}

func TestA34OneAddressTakesSoManyConnections(t *testing.T) {
	_, url := start(t, relay.Options{MaxConnsPerAddress: 2})
	for _, name := range []string{"ann", "bob"} {
		join(t, connect(t, url), "room", name)
	}
	_, err := relay.Dial(t.Context(), url, local)
	if refused, ok := errors.AsType[*transport.DialError](err); !ok || refused.Status != 503 {
		t.Fatalf("got %v", err)
	}
	resp, err := http.Get("http" + strings.TrimPrefix(url, "ws"))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != 503 || !resp.Close {
		t.Errorf("%s, and the connection stays: %v", resp.Status, !resp.Close)
	}
}

func TestA34AnAddressIsAWholeBlock(t *testing.T) {
	hub := relay.New(relay.Options{MaxConnsPerAddress: 1})
	status := func(remote string) int {
		r := httptest.NewRequest("GET", "/", nil) // no handshake: 426 if there is room
		r.RemoteAddr = remote
		w := httptest.NewRecorder()
		hub.ServeHTTP(w, r)
		return w.Code
	}
	a, b := transport.Pipe()
	defer a.Close(transport.CodeNormal, "")
	go hub.ServeConn(from{b, "[2001:db8::1]:1000"})
	join(t, relay.NewClient(a), "room", "ann")
	for remote, want := range map[string]int{
		"[2001:db8::2]:2000": 503, "[2001:db8:0:1::1]:1000": 426, "192.0.2.1:1000": 426, "unknown": 426,
	} {
		if got := status(remote); got != want {
			t.Errorf("%s: %d, want %d", remote, got, want)
		}
	}
}

// from is a connection from a given address.
type from struct {
	transport.Conn
	remote string
}

func (c from) Info() transport.Info { return transport.Info{Remote: c.remote} }

func TestA34WhoJoinsNothingIsCut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hub := relay.New(relay.Options{})
		serve := func() (transport.Conn, <-chan error) {
			a, b := transport.Pipe()
			served := make(chan error, 1)
			go func() { served <- hub.ServeConn(b) }()
			return a, served
		}
		began := time.Now()
		_, idle := serve()
		member, busy := serve()
		client := relay.NewClient(member)
		join(t, client, "room", "ann")
		if err := <-idle; err == nil || !strings.Contains(err.Error(), "joins no topic") || time.Since(began) != 10*time.Second {
			t.Fatalf("got %v after %v", err, time.Since(began))
		}
		time.Sleep(time.Minute)
		select {
		case err := <-busy:
			t.Fatalf("a member was cut: %v", err)
		default:
		}
		client.Close()
		<-busy
	})
}

func TestATopicsRosterFitsIntoOneMessage(t *testing.T) {
	_, url := start(t, relay.Options{MaxMembers: 1000, MaxConnsPerAddress: 1000})
	var clients []*relay.Client
	var refused error
	for refused == nil {
		c := connect(t, url)
		_, refused = c.Join(t.Context(), "room", fmt.Sprint(len(clients)), make([]byte, frame.MaxPresence))
		clients = append(clients, c)
	}
	wantRefused(t, refused, relay.TopicFull)
	if n := len(clients); n < 90 || n > 100 {
		t.Fatalf("the topic was full with %d members", n)
	}
	if err := clients[0].Leave(t.Context(), "room"); err != nil {
		t.Fatal(err)
	}
	join(t, clients[0], "another room", "ann") // waits until the hub has seen the Leave
	if _, err := clients[len(clients)-1].Join(t.Context(), "room", "last", make([]byte, frame.MaxPresence)); err != nil {
		t.Fatalf("there is no room after somebody left: %v", err)
	}
}

// silent dials and joins topics, and never reads what the hub sends.
func silent(t *testing.T, url string, topics ...string) {
	t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(url, "ws://"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	fmt.Fprintf(conn, "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
	for _, topic := range topics {
		b := frame.Join{Topic: topic, Name: "silent"}.Append(nil)
		header := append([]byte{0x82, 0x80 | byte(len(b))}, 0, 0, 0, 0) // a mask of zeros
		conn.Write(append(header, b...))
	}
}

// Until the cut such a member takes no more memory than its outbox may hold, see
// TestA34OutboxIsBoundedByFramesAndBytes.
func TestA34AMemberThatDoesNotReadIsCut(t *testing.T) {
	for name, test := range map[string]struct {
		senders int
		opts    relay.Options
	}{
		"too slow":   {1, relay.Options{WriteTimeout: 100 * time.Millisecond}},
		"full queue": {4, relay.Options{WriteTimeout: time.Hour, QueuedBytes: 256 << 10}}, // three wait, the fourth fills it
	} {
		t.Run(name, func(t *testing.T) {
			test.opts.KeepAlive = -1
			_, url := start(t, test.opts)
			senders, topics := make([]*relay.Client, test.senders), make([]string, test.senders)
			for i := range senders {
				senders[i], topics[i] = connect(t, url), fmt.Sprint("room ", i)
				join(t, senders[i], topics[i], "ann")
			}
			silent(t, url, topics...)
			for _, sender := range senders {
				next[relay.Entered](t, sender)
			}
			ctx, stop := context.WithCancel(t.Context())
			var floods sync.WaitGroup
			for i, sender := range senders {
				floods.Go(func() {
					for payload := make([]byte, 64<<10); ctx.Err() == nil; {
						sender.Publish(t.Context(), topics[i], payload)
					}
				})
			}
			for _, sender := range senders {
				next[relay.Left](t, sender) // while the flood goes on
			}
			stop()
			floods.Wait()
			for _, sender := range senders {
				join(t, sender, "another room", fmt.Sprintf("%p", sender)) // the senders were not cut
			}
		})
	}
}

func TestA34ABurstCutsNobodyWhoReads(t *testing.T) {
	_, url := start(t, relay.Options{})
	const burst = 5000
	sender := connect(t, url)
	join(t, sender, "room", "ann")
	var readers sync.WaitGroup
	for i := range 4 {
		reader := connect(t, url)
		join(t, reader, "room", fmt.Sprint(i))
		readers.Go(func() {
			for got := 0; got < burst; {
				event, err := reader.Next(t.Context())
				if err != nil {
					t.Errorf("member %d, after %d messages: %v", i, got, err)
					return
				}
				if m, ok := event.(relay.Message); ok {
					if want := fmt.Sprint(got); string(m.Payload) != want {
						t.Errorf("member %d got %q, want %q", i, m.Payload, want)
						return
					}
					got++
				}
			}
		})
	}
	for range 4 {
		next[relay.Entered](t, sender)
	}
	for n := range burst {
		publish(t, sender, "room", fmt.Sprint(n))
	}
	readers.Wait()
}

func TestA35AMillionSmallFramesKeepMemoryFlat(t *testing.T) {
	hub := relay.New(relay.Options{})
	clients := make([]*relay.Client, 2)
	for i := range clients {
		a, b := transport.Pipe()
		go hub.ServeConn(b)
		clients[i] = relay.NewClient(a)
		defer clients[i].Close()
		join(t, clients[i], "room", fmt.Sprint(i))
	}
	next[relay.Entered](t, clients[0])
	frames := 1_000_000
	if slowtest.Mode {
		frames /= 10 // it would take half a minute
	}
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	payload := []byte("x")
	for range frames / 100 { // a hundred at a time: queues are bounded
		for range 100 {
			if err := clients[0].Publish(context.Background(), "room", payload); err != nil {
				t.Fatal(err)
			}
		}
		for range 100 {
			next[relay.Message](t, clients[1])
		}
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	if grown := int64(after.HeapAlloc) - int64(before.HeapAlloc); grown > 1<<20 {
		t.Errorf("the heap grew by %d bytes", grown)
	}
}

func TestA34ASlowWriteIsCutInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hub := relay.New(relay.Options{})
		a, b := transport.Pipe(transport.WithBuffer(1))
		began, served := time.Now(), make(chan error, 1)
		go func() { served <- hub.ServeConn(b) }()
		for i := range 3 { // three answers that nobody reads
			if err := a.Write(t.Context(), frame.Join{Topic: fmt.Sprint(i), Name: "n"}.Append(nil)); err != nil {
				t.Fatal(err)
			}
		}
		if err := <-served; err == nil || !strings.Contains(err.Error(), "does not take") {
			t.Fatalf("got %v", err)
		}
		if took := time.Since(began); took != 10*time.Second {
			t.Fatalf("cut after %v", took)
		}
	})
}

func TestTapSeesEveryFrame(t *testing.T) {
	var mu sync.Mutex
	var seen []string
	_, url := start(t, relay.Options{Tap: func(b []byte) {
		mu.Lock()
		defer mu.Unlock()
		seen = append(seen, string(b))
	}})
	ann, bob := connect(t, url), connect(t, url)
	join(t, ann, "room", "ann")
	join(t, bob, "room", "bob")
	publish(t, ann, "room", "for bob")
	next[relay.Message](t, bob)
	want := []string{
		string(frame.Join{Topic: "room", Name: "ann", Presence: []byte("presence of ann")}.Append(nil)),
		string(frame.Join{Topic: "room", Name: "bob", Presence: []byte("presence of bob")}.Append(nil)),
		string(frame.Publish{Topic: "room", Payload: []byte("for bob")}.Append(nil)),
	}
	mu.Lock()
	defer mu.Unlock()
	if fmt.Sprintf("%q", seen) != fmt.Sprintf("%q", want) {
		t.Fatalf("saw %q, want %q", seen, want)
	}
}

func TestA41TheHubChangesNoPayload(t *testing.T) {
	_, url := start(t, relay.Options{})
	ann, bob := connect(t, url), connect(t, url)
	presence, payload := make([]byte, frame.MaxPresence), make([]byte, 200<<10)
	for i := range payload {
		payload[i] = byte(i * 7)
	}
	copy(presence, payload)
	if _, err := ann.Join(t.Context(), "room", "ann", presence); err != nil {
		t.Fatal(err)
	}
	small := presence[:1000] // for a frame that the hub reads into a buffer that it keeps
	if _, err := ann.Join(t.Context(), "small", "ann", small); err != nil {
		t.Fatal(err)
	}
	publish(t, ann, "room", "overwrites that buffer: "+strings.Repeat("x", 900))
	join(t, ann, "another room", "ann") // now the hub has seen that
	if got := join(t, bob, "room", "bob").Members[0].Presence; !bytes.Equal(got, presence) {
		t.Fatal("the presence was changed")
	}
	if got := join(t, bob, "small", "bob").Members[0].Presence; !bytes.Equal(got, small) {
		t.Fatal("a small presence was changed")
	}
	if err := ann.Publish(t.Context(), "room", payload); err != nil {
		t.Fatal(err)
	}
	if got := next[relay.Message](t, bob).Payload; !bytes.Equal(got, payload) {
		t.Fatal("the payload was changed")
	}
}

func TestShutdownEndsEverything(t *testing.T) {
	hub, url := start(t, relay.Options{})
	ann := connect(t, url)
	join(t, ann, "room", "ann")
	if err := hub.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	_, err := ann.Next(t.Context())
	var closed *transport.CloseError
	if !errors.As(err, &closed) || closed.Code != transport.CodeGoingAway || !errors.Is(err, io.EOF) {
		t.Fatalf("got %v", err)
	}
	var refused *transport.DialError
	if _, err := relay.Dial(t.Context(), url, local); !errors.As(err, &refused) || refused.Status != 503 {
		t.Fatalf("got %v", err)
	}
	if err := hub.Shutdown(t.Context()); err != nil {
		t.Fatalf("a second Shutdown: %v", err)
	}
}

func TestShutdownCutsWhoDoesNotAnswer(t *testing.T) {
	hub, url := start(t, relay.Options{})
	sender := connect(t, url)
	join(t, sender, "room", "ann")
	silent(t, url, "room")
	next[relay.Entered](t, sender)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	began := time.Now()
	if err := hub.Shutdown(ctx); !errors.Is(err, context.Canceled) {
		t.Fatalf("got %v", err)
	}
	if took := time.Since(began); took > 1800*time.Millisecond { // a close takes 2 s if nobody answers
		t.Errorf("took %v", took)
	}
}

func TestManyClientsAtOnce(t *testing.T) {
	_, url := start(t, relay.Options{})
	ctx, cancel := context.WithCancel(t.Context()) // one failure ends all
	defer cancel()
	const clients, messages = 10, 20
	var all sync.WaitGroup
	ready := make(chan struct{})
	var joined sync.WaitGroup
	joined.Add(clients)
	for i := range clients {
		c := connect(t, url)
		all.Go(func() {
			join(t, c, "room", fmt.Sprint(i))
			joined.Done()
			<-ready
			for got := 0; got < messages*(clients-1); {
				event, err := c.Next(ctx)
				if err != nil {
					t.Errorf("client %d: %v", i, err)
					cancel()
					return
				}
				if _, ok := event.(relay.Message); ok {
					got++
				}
			}
		})
		all.Go(func() {
			<-ready
			for n := range messages {
				publish(t, c, "room", fmt.Sprint(n))
			}
		})
	}
	joined.Wait()
	close(ready)
	all.Wait()
}

// If the application's Authenticate panics, the hub frees that connection's place: otherwise strangers
// could use such a bug to fill the hub.
func TestAPanickingAuthenticateTakesNoPlace(t *testing.T) {
	var mended atomic.Bool
	hub := relay.New(relay.Options{MaxConns: 1, Accept: &transport.AcceptOptions{Policy: transport.Development,
		Authenticate: func(context.Context, *transport.Caller) (transport.Grant, error) {
			if !mended.Load() {
				panic(http.ErrAbortHandler) // which net/http does not log
			}
			return transport.Grant{}, nil
		}}})
	server := httptest.NewServer(hub)
	defer server.Close()
	url := "ws" + strings.TrimPrefix(server.URL, "http")
	for range 3 {
		if c, err := relay.Dial(t.Context(), url, local); err == nil {
			c.Close()
			t.Fatal("somebody was let in")
		}
	}
	mended.Store(true)
	join(t, connect(t, url), "room", "ann")
	if err := hub.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
}
