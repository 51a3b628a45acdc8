package engine

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hopseal/hopseal/internal/explore"
	setclock "github.com/hopseal/hopseal/internal/stepclock"
	"github.com/hopseal/hopseal/keys"
)

// storedSessions returns both ends of a session whose states are stored.
func storedSessions(t testing.TB) (c, s *Session) {
	t.Helper()
	cfg := func(id *keys.Identity) Config {
		c := configFor(id)
		c.Stored = true
		return c
	}
	a, b := clientOf(cfg(alice), alice), serverOf(cfg(bob), bob)
	mustMeet(t, a, b)
	return a.h.Session(), b.h.Session()
}

func stateOf(t testing.TB, s *Session) []byte {
	t.Helper()
	state, _, err := s.AppendState(epoch, nil)
	if err != nil {
		t.Fatal(err)
	}
	return state
}

func restored(t testing.TB, me *keys.Identity, state []byte) *Session {
	t.Helper()
	s, err := RestoreSession(configFor(me), epoch, state)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// post queues a message and seals it.
func post(t testing.TB, l *Link, message string) []byte {
	t.Helper()
	err := l.session.Queue(epoch, nil, []byte(message))
	frame, sealErr := l.Next(epoch, nil)
	if err != nil || sealErr != nil {
		t.Fatal(err, sealErr)
	}
	return frame
}

// A session goes on from its state in another process, at either end and at both: what
// the application had not taken comes again, under the same numbers, and nothing else.
func TestRestoreGoesOn(t *testing.T) {
	for _, restarts := range []string{"client", "server", "both"} {
		t.Run(restarts, func(t *testing.T) {
			c, s := storedSessions(t)
			a, b := c.Link(), s.Link()
			for i := range 5 {
				mustOpen(t, b, post(t, a, fmt.Sprint("up ", i)))
				mustOpen(t, a, post(t, b, fmt.Sprint("down ", i)))
			}
			for range 2 { // the applications take two
				s.Consumed(epoch, len("up 0"))
				c.Consumed(epoch, len("down 0"))
			}
			pass(t, epoch.Add(ackDelay), a, b)
			pass(t, epoch.Add(ackDelay), b, a)
			if c.Acked() != 2 || s.Acked() != 2 {
				t.Fatalf("%d and %d acknowledged, the applications have taken 2", c.Acked(), s.Acked())
			}
			if restarts != "server" {
				c = restored(t, alice, stateOf(t, c))
			}
			if restarts != "client" {
				s = restored(t, bob, stateOf(t, s))
			}
			if c.Sent() != 5 || s.Sent() != 5 || !c.Born().Equal(epoch) || !s.Born().Equal(epoch) {
				t.Fatalf("restored with %d and %d sent, born %v and %v", c.Sent(), s.Sent(), c.Born(), s.Born())
			}
			a, b = mustRevive(t, c, s)
			greet(t, a, b)
			for _, way := range []struct {
				from, to *Link
				again    bool
				word     string
			}{{a, b, restarts != "client", "up"}, {b, a, restarts != "server", "down"}} {
				var want []string
				for i := 2; way.again && i < 5; i++ {
					want = append(want, fmt.Sprint(way.word, " ", i))
				}
				if got := drain(t, way.from, way.to); !reflect.DeepEqual(got, want) {
					t.Errorf("%s: sent again %q, want %q", way.word, got, want)
				}
			}
			if got := post(t, a, "new"); a.session.Sent() != 6 || mustOpen(t, b, got) != Message {
				t.Error("the next message has another number")
			}
		})
	}
}

// What decides whether a state must be stored before the next frame.
func TestMarks(t *testing.T) {
	c, s := storedSessions(t)
	a, b := c.Link(), s.Link()
	mark := func(s *Session) Mark {
		_, m, err := s.AppendState(epoch, nil)
		if err != nil || m != s.Mark() {
			t.Fatal("the mark of a state is not that of its session")
		}
		return m
	}
	before := mark(s)
	frame := post(t, a, "up")
	mustOpen(t, b, frame)
	if mark(s) != before {
		t.Error("a message that nobody has taken must be stored")
	}
	s.Consumed(epoch, 2)
	if mark(s) != before {
		t.Error("a message that nobody was told to be taken must be stored")
	}
	pass(t, epoch.Add(ackDelay), b, a)
	if mark(s) == before {
		t.Error("an ack need not be stored")
	}
	before = mark(c)
	if err := c.Queue(epoch, nil, nil); err != nil || mark(c) == before {
		t.Error("a message need not be stored", err)
	}
	beforeC, beforeS := mark(c), mark(s)
	a, b = mustRevive(t, c, s)
	if mark(c) == beforeC || mark(s) == beforeS {
		t.Error("another secret need not be stored")
	}
	beforeS = mark(s)
	pass(t, epoch, a, b)
	if mark(s) == beforeS {
		t.Error("the end of a secret is never stored")
	}
	if c.Forget(); true {
		if _, _, err := c.AppendState(epoch, nil); !errors.Is(err, ErrClosed) {
			t.Error("a forgotten session has a state", err)
		}
		if err := c.Queue(epoch, nil, nil); !errors.Is(err, ErrClosed) {
			t.Error("a forgotten session takes messages", err)
		}
	}
}

// Queue keeps to the bounds of Seal.
func TestQueueIsBounded(t *testing.T) {
	c, _ := storedSessions(t)
	if err := c.Queue(epoch, nil, make([]byte, c.maxMessage+1)); !errors.Is(err, ErrTooLarge) {
		t.Error(err)
	}
	n := 0
	for c.Queue(epoch, nil, make([]byte, 1000)) == nil {
		n++
	}
	if err := c.Queue(epoch, nil, nil); !errors.Is(err, ErrBlocked) || n != (initialCredit+1023)/1024 {
		t.Errorf("%d messages, then %v", n, err)
	}
}

// A13: no key of a link is in a state, nor what one could be made from.
func TestA13StatesHoldNoTrafficKeys(t *testing.T) {
	c, s := storedSessions(t)
	for range 2 {
		mustOpen(t, s.Link(), post(t, c.Link(), "hello"))
		for _, end := range []*Session{c, s} {
			state := stateOf(t, end)
			l := end.Link()
			for name, secret := range map[string][]byte{
				"chain of its own": l.send.chain[:], "chain of the other's": l.recv.chain[:], "link id": l.send.aad[len(l.send.aad)-32:],
				"rekey secret": l.rekey.secret[:],
			} {
				if bytes.Contains(state, secret) && (name != "link id" || !bytes.Equal(secret, end.id[:])) {
					t.Errorf("a state holds the %s", name)
				}
			}
		}
		a, b := mustRevive(t, c, s)
		greet(t, a, b)
	}
}

// A20: two clones of a server's state answer the same r1 with shares and keys of their
// own, and the client goes on with one of them only. Two clones of a client's state
// make different first messages, and only one of them comes back.
func TestA20ClonesOfAState(t *testing.T) {
	c, s := storedSessions(t)
	post(t, s.Link(), "the same message")
	state := stateOf(t, s)
	x, y := reviverOf(t, restored(t, bob, state)), reviverOf(t, restored(t, bob, state))
	client := reviverOf(t, c)
	r1, err := client.start()
	if err != nil {
		t.Fatal(err)
	}
	x.start()
	y.start()
	r2, err := x.receive(r1)
	other, otherErr := y.receive(r1)
	if err != nil || otherErr != nil || bytes.Equal(r2, other) {
		t.Fatal("two clones give one answer", err, otherErr)
	}
	r3, err := client.receive(r2)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := y.receive(r3); err == nil {
		t.Error("a clone goes on with the exchange of the other")
	}
	r4, err := x.receive(r3)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := client.receive(r4); err != nil || client.Link() == nil {
		t.Fatal(err)
	}
	// Each clone with an attempt of its own: nothing that they seal is alike.
	seen := map[string]bool{}
	for range 3 {
		twin := restored(t, bob, state)
		c2, _ := storedSessions(t)
		c2.secret, c2.id, c2.out, c2.peer = &secret{value: twin.secret.value}, twin.id, outbox{credit: initialCredit, window: initialCredit}, bob.Public()
		_, b := mustRevive(t, c2, twin)
		control, _ := b.Control(epoch, nil)
		data, err := b.Next(epoch, nil)
		if err != nil || seen[string(control)] || seen[string(data)] || seen[string(b.send.chain[:])] {
			t.Fatal("two clones have sealed the same, or with the same key", err)
		}
		seen[string(control)], seen[string(data)], seen[string(b.send.chain[:])] = true, true, true
	}

	c, s = storedSessions(t)
	state = stateOf(t, c)
	first, second := restored(t, alice, state), restored(t, alice, state)
	mustRevive(t, first, s)
	if _, err := revive(t, reviverOf(t, second), reviverOf(t, s), honest); err == nil {
		t.Error("both clones of a client come back")
	}
}

// GoOn moves an attempt to a later state of the session, or says why it cannot.
func TestGoOnFromALaterState(t *testing.T) {
	c, s := storedSessions(t)
	peeked := restored(t, bob, stateOf(t, s))
	attempt := func(t *testing.T, from *Session) (client *reviver, server *Resume) {
		client, server = reviverOf(t, c), reviverOf(t, from).Resume
		server.Start(epoch)
		r1, err := client.start()
		if err != nil {
			t.Fatal(err)
		}
		r2, err := server.Receive(epoch, r1)
		if err != nil {
			t.Fatal(err)
		}
		r3, err := client.receive(r2.Frame)
		if err != nil {
			t.Fatal(err)
		}
		if step, err := server.Receive(epoch, r3); err != nil || step.Next != Decide {
			t.Fatal(step, err)
		}
		return client, server
	}
	client, server := attempt(t, peeked)
	if _, err := server.Loaded(c); !errors.Is(err, ErrClosed) {
		t.Error("an attempt went on with a client's session", err)
	}
	if err := s.Queue(epoch, nil, []byte("sent meanwhile")); err != nil { // by the process that had it
		t.Fatal(err)
	}
	later := restored(t, bob, stateOf(t, s))
	if _, err := server.Loaded(later); err != nil {
		t.Fatal(err)
	}
	r4, err := server.Accept(epoch)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := client.receive(r4.Frame); err != nil {
		t.Fatal(err)
	}
	greet(t, client.Link(), server.Link())
	if got := drain(t, server.Link(), client.Link()); len(got) != 1 || got[0] != "sent meanwhile" {
		t.Errorf("sent again: %q", got)
	}

	// An attempt that was held back finds a secret that has moved on.
	peeked = restored(t, bob, stateOf(t, later))
	_, held := attempt(t, peeked)
	mustRevive(t, c, later)
	later = restored(t, bob, stateOf(t, later))
	_, err = held.Loaded(later)
	wantReason(t, err, ErrResume, ReasonCipher)
	if _, err := held.Accept(epoch); !errors.Is(err, ErrClosed) {
		t.Error(err)
	}
}

// A18: a state from before what the other end has acknowledged, or was sent, is noticed.
func TestA18StatesThatWereRolledBack(t *testing.T) {
	c, s := storedSessions(t)
	old := stateOf(t, s)
	mustOpen(t, c.Link(), post(t, s.Link(), "down"))
	_, err := revive(t, reviverOf(t, c), reviverOf(t, restored(t, bob, old)), honest)
	wantReason(t, err, ErrResume, ReasonAck) // the client has what the server has not sent

	c, s = storedSessions(t)
	old = stateOf(t, s)
	mustOpen(t, s.Link(), post(t, c.Link(), "up"))
	s.Consumed(epoch, 2)
	pass(t, epoch.Add(ackDelay), s.Link(), c.Link())
	err, _ = revive(t, reviverOf(t, c), reviverOf(t, restored(t, bob, old)), honest)
	wantReason(t, err, ErrResume, ReasonAck) // the server has not what it acknowledged
}

// A state of another protocol, or that this Config does not fit, is refused.
func TestStatesOfOthers(t *testing.T) {
	c, _ := storedSessions(t)
	if err := c.Queue(epoch, nil, make([]byte, 100)); err != nil {
		t.Fatal(err)
	}
	state := stateOf(t, c)
	for name, change := range map[string]func(cfg *Config){
		"protocol": func(cfg *Config) { cfg.Protocol = "test/2" },
		"proof":    func(cfg *Config) { cfg.Proof = ProofEd25519 },
		"limit":    func(cfg *Config) { cfg.MaxMessage = 99 },
	} {
		cfg := configFor(alice)
		change(&cfg)
		if _, err := RestoreSession(cfg, epoch, state); !errors.Is(err, ErrState) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for n := range state {
		if _, err := RestoreSession(configFor(alice), epoch, state[:n]); !errors.Is(err, ErrState) {
			t.Fatalf("the first %d bytes: %v", n, err)
		}
	}
}

// FuzzA32RestoreSession: what is a state has one encoding.
func FuzzA32RestoreSession(f *testing.F) {
	c, s := storedSessions(f)
	f.Add(stateOf(f, c))
	f.Add(stateOf(f, s))
	post(f, c.Link(), "hello")
	post(f, c.Link(), "")
	a, b := mustRevive(f, c, s)
	f.Add(stateOf(f, c))
	f.Add(stateOf(f, s))
	greet(f, a, b)
	f.Add(stateOf(f, s))
	f.Fuzz(func(t *testing.T, state []byte) {
		s, err := RestoreSession(configFor(alice), epoch, state)
		if err != nil {
			if !errors.Is(err, ErrState) {
				t.Error(err)
			}
			return
		}
		again := stateOf(t, s)
		if s.born.Equal(epoch) || s.healed.Equal(epoch) || longBefore(s.born) || longBefore(s.healed) {
			// A time out of what can be measured is another one from here on.
			state, again = again, stateOf(t, restored(t, alice, again))
		}
		if !bytes.Equal(again, state) {
			t.Error("a second encoding was accepted")
		}
	})
}

// longBefore reports whether a time is as long ago as can be measured.
func longBefore(t time.Time) bool { return epoch.Sub(t) == math.MaxInt64 }

// What a state says of times is by the wall clock, and what a session does is not: a clock that
// is set moves neither how old the session is nor when it heals next.
func TestStoredTimesOutliveASetClock(t *testing.T) {
	c, _ := storedSessions(t)
	c.healed = epoch.Add(time.Minute)
	toTheBeginning := time.Until(time.Unix(0, 0)) - 50*time.Minute // as machines begin that have no clock
	for name, c := range map[string]struct{ atSave, atRestore, want time.Duration }{
		"to ten minutes behind 1970":  {toTheBeginning, toTheBeginning, 10 * time.Minute},
		"nothing":                     {0, 0, time.Hour},
		"an hour on before it":        {time.Hour, time.Hour, time.Hour},
		"an hour back before it":      {-time.Hour, -time.Hour, time.Hour},
		"a year on before it":         {8760 * time.Hour, 8760 * time.Hour, time.Hour},
		"ten minutes on between":      {0, 10 * time.Minute, 70 * time.Minute},
		"back by more than it is old": {0, -2 * time.Hour, 0},
	} {
		t.Run(name, func(t *testing.T) {
			s, _ := storedSessions(t)
			start := time.Now() // with a reading that nobody sets
			s.born, s.healed = start, start
			later := start.Add(time.Hour)
			state, _, err := s.AppendState(stepped(later, c.atSave), nil)
			if err != nil {
				t.Fatal(err)
			}
			now := stepped(later, c.atRestore)
			again, err := RestoreSession(configFor(alice), now, state)
			if err != nil {
				t.Fatal(err)
			}
			for what, at := range map[string]time.Time{"began": again.Born(), "healed": again.healed} {
				if age := now.Sub(at); (age - c.want).Abs() > 10*time.Second { // the clock runs on while the test does
					t.Errorf("it %s %v ago, want %v", what, age, c.want)
				}
			}
		})
	}
}

// stepped is a time as [time.Now] returns it once the wall clock was set.
func stepped(t time.Time, by time.Duration) time.Time { return setclock.At(t, by) }

// A durable is one end of the model with a store: what it has stored, and what its
// application takes. A message counts as taken when the application asks for the next.
type durable struct {
	disk  []byte
	mark  Mark
	ahead []string // messages that have arrived
	held  string   // the message that the application is busy with, or ""
	most  int      // the highest number that it was ever given
	next  int      // the number that it must be given next
	said  []string // messages that this end has sent

	part   []byte // what has come of a message, on whatever wires
	opened uint64 // cost of the pieces that have come
	wasted uint64 // of these, what its processes took with them
}

type durables struct {
	*model
	ends [2]durable
}

func newDurables(t testing.TB) *durables {
	c, s := storedSessions(t)
	w := &wire{ends: [2]endpoint{{session: c, link: c.Link()}, {session: s, link: s.Link()}}}
	d := &durables{model: &model{sessions: [2]*Session{c, s}, wires: []*wire{w}, now: epoch}}
	for i := range d.ends {
		d.ends[i].next = 1
		d.save(t, i)
	}
	return d
}

// save stores a state if it has to be.
func (d *durables) save(t testing.TB, i int) {
	if s, e := d.sessions[i], &d.ends[i]; e.disk == nil || e.mark != s.Mark() {
		var err error
		if e.disk, e.mark, err = s.AppendState(d.now, nil); err != nil {
			t.Fatal(err)
		}
	}
}

// launch writes a frame, behind what has to be stored before.
func (d *durables) launch(t testing.TB, w *wire, from int, frame []byte) {
	if len(frame) > 0 {
		d.save(t, from)
		d.model.launch(w, from, frame)
	}
}

func (d *durables) arrive(t testing.TB, w *wire, to int, frame []byte) {
	e := &w.ends[to]
	switch {
	case e.session != d.sessions[to]: // of a process that is gone
	case e.attempt != nil:
		reply, err := e.attempt.receive(frame)
		if err != nil {
			e.die()
			return
		}
		if link := e.attempt.Link(); link != nil {
			e.attempt, e.link = nil, link
		}
		d.launch(t, w, to, reply)
	case e.link != nil:
		end, before := &d.ends[to], d.sessions[to].in.progress().arrived
		message, event, err := e.link.Open(d.now, end.part, frame)
		end.opened += d.sessions[to].in.progress().arrived - before
		if end.part = message; err != nil {
			e.die()
		} else if event == Message {
			end.ahead, end.part = append(end.ahead, string(message)), nil
		}
	}
}

// take has the application ask for the next message.
func (d *durables) take(t testing.TB, i int) {
	e := &d.ends[i]
	if e.held != "" {
		d.sessions[i].Consumed(d.now, len(e.held))
		e.held = ""
	}
	if len(e.ahead) == 0 {
		return
	}
	message, n := e.ahead[0], 0
	e.ahead = e.ahead[1:]
	fmt.Sscan(message, &n)
	if n != e.next || n > e.most+1 || message != d.ends[1-i].said[n-1] {
		t.Fatalf("end %d was given message %d in the place of %d, having seen %d", i, n, e.next, e.most)
	}
	e.held, e.next, e.most = message, n+1, max(e.most, n)
}

func (d *durables) send(t testing.TB, i, size int) {
	e := &d.ends[i]
	n := len(e.said) + 1
	body := make([]byte, size)
	rand.NewChaCha8([32]byte{byte(n), byte(n >> 8), byte(i)}).Read(body) // no two have a piece in common
	message := fmt.Sprint(n, " ") + string(body)
	if d.sessions[i].Queue(d.now, nil, []byte(message)) == nil {
		e.said = append(e.said, message)
		d.save(t, i)
		if d.sessions[i].Sent() != uint64(n) {
			t.Fatalf("message %d has number %d", n, d.sessions[i].Sent())
		}
	}
}

func (d *durables) pump(t testing.TB, w *wire, i int) {
	for _, seal := range []func(l *Link) ([]byte, error){
		func(l *Link) ([]byte, error) { return l.Control(d.now, nil) },
		func(l *Link) ([]byte, error) { return l.Next(d.now, nil) },
	} {
		e := &w.ends[i]
		if e.link == nil || e.session != d.sessions[i] {
			return
		}
		frame, err := seal(e.link)
		if err != nil {
			e.die()
			return
		}
		d.launch(t, w, i, frame)
	}
}

// crash ends the process of an end and starts another on what it has stored.
func (d *durables) crash(t testing.TB, i int) {
	e := &d.ends[i]
	before := d.sessions[i].in.progress().arrived
	d.sessions[i] = restored(t, []*keys.Identity{alice, bob}[i], e.disk)
	e.mark = d.sessions[i].Mark()
	e.ahead, e.held, e.part, e.next = nil, "", nil, int(d.sessions[i].in.received)+1
	e.wasted += before - d.sessions[i].in.progress().arrived
	for _, w := range d.wires {
		w.ends[i].die()
	}
	if e.next > e.most+1 {
		t.Fatalf("end %d would begin with message %d, having seen %d", i, e.next, e.most)
	}
}

func (d *durables) reconnect(t testing.TB) *wire {
	for _, w := range d.wires {
		w.ends[0].die()
	}
	w := new(wire)
	d.wires = append(d.wires, w)
	for i, s := range d.sessions {
		w.ends[i] = endpoint{session: s, attempt: reviverOf(t, s)}
		frame, err := w.ends[i].attempt.start()
		if err != nil {
			t.Fatal(err)
		}
		d.launch(t, w, i, frame)
	}
	return w
}

func (d *durables) calm(t testing.TB) {
	var w *wire
	for n := range 10_000 {
		if n%200 == 0 { // a client that lost its number of attempts needs another one
			if w != nil && w.ends[0].link != nil && w.ends[1].link != nil {
				break
			}
			w = d.reconnect(t)
		}
		d.now = d.now.Add(ackDelay)
		for i := range w.ends {
			d.pump(t, w, i)
			d.take(t, i)
			for len(w.flight[i]) > 0 {
				frame := w.flight[i][0]
				w.flight[i] = w.flight[i][1:]
				d.arrive(t, w, i, frame)
			}
		}
	}
	for i := range d.ends {
		e := &d.ends[i]
		if got, want := e.most, len(d.ends[1-i].said); got != want || w.ends[i].link == nil {
			t.Fatalf("end %d has %d messages of %d", i, got, want)
		}
		if cost := d.sessions[1-i].out.cost; e.opened != cost+e.wasted {
			t.Fatalf("end %d has opened %d bytes of %d, and lost %d: no piece may come twice", i, e.opened, cost, e.wasted)
		}
		if s := d.sessions[i]; s.Acked() != s.Sent() {
			t.Fatalf("end %d: %d of %d acknowledged", i, s.Acked(), s.Sent())
		}
	}
}

// A16, A18: whatever a hop does and whenever either process ends, each application is
// given every message, whole and in order, and again only those that it had not asked behind.
// Between two ends of a receiver's process no piece comes twice, on however many links.
func TestA16ModelOfRestarts(t *testing.T) {
	explore.Check(t, func(rt *explore.T) {
		d := newDurables(rt)
		end := func(t *explore.T) int { return explore.IntRange(0, 1).Draw(t, "end") }
		wireAndEnd := func(t *explore.T) (*wire, int) {
			back := explore.IntRange(0, min(3, len(d.wires)-1)).Draw(t, "wire from the end")
			return d.wires[len(d.wires)-1-back], end(t)
		}
		deliver := func(rt *explore.T) {
			w, i := wireAndEnd(rt)
			if len(w.flight[i]) == 0 {
				rt.Skip("nothing under way")
			}
			frame := w.flight[i][0]
			w.flight[i] = w.flight[i][1:]
			d.arrive(rt, w, i, frame)
		}
		pump := func(rt *explore.T) {
			w, i := wireAndEnd(rt)
			d.now = d.now.Add(ackDelay / 2)
			d.pump(rt, w, i)
		}
		rt.Repeat(map[string]func(*explore.T){
			"send": func(rt *explore.T) {
				d.send(rt, end(rt), explore.SampledFrom([]int{0, 0, 1000, 40_000, 70_000, 300_000}).Draw(rt, "size"))
			},
			"take":    func(rt *explore.T) { d.take(rt, end(rt)) },
			"deliver": deliver, "deliver 2": deliver, "deliver 3": deliver, "pump": pump, "pump 2": pump,
			"crash":     func(rt *explore.T) { d.crash(rt, end(rt)) },
			"cut":       func(rt *explore.T) { w, i := wireAndEnd(rt); w.ends[i].die() },
			"reconnect": func(*explore.T) { d.reconnect(rt) },
			"replay": func(rt *explore.T) {
				if w, i := wireAndEnd(rt); len(d.log) > 0 {
					d.arrive(rt, w, i, bytes.Clone(explore.SampledFrom(d.log).Draw(rt, "frame")))
				}
			},
			"calm": func(*explore.T) { d.calm(rt) },
		})
		d.calm(rt)
	})
}

// A42: neither a state's session nor its mark prints a secret.
func TestA42MarksAreRedacted(t *testing.T) {
	c, _ := storedSessions(t)
	for _, verb := range []string{"%v", "%+v", "%#v", "%x", "%s"} {
		if got := fmt.Sprintf(verb, c.Mark()); !strings.Contains(got, "redacted") {
			t.Errorf("%s: %s", verb, got)
		}
	}
	if time.Since(c.Born()) == 0 {
		t.Error("no time of birth")
	}
}

// A message that was taken before an earlier one does not count until that is taken too.
func TestTookOutOfOrder(t *testing.T) {
	c, s := storedSessions(t)
	for range 3 {
		mustOpen(t, s.Link(), post(t, c.Link(), "hello"))
	}
	for _, step := range []struct{ took, acked uint64 }{{2, 0}, {1, 2}, {3, 3}} {
		s.ConsumedNumber(epoch, step.took, len("hello"))
		pass(t, epoch.Add(ackDelay), s.Link(), c.Link())
		if c.Acked() != step.acked {
			t.Errorf("behind message %d: %d are acknowledged, want %d", step.took, c.Acked(), step.acked)
		}
	}
}

// Requests that were acknowledged and not answered are in the state, and in no other one.
func TestStatesListTheRequestsThatAreOwed(t *testing.T) {
	c, s := storedSessions(t)
	send := func(from, to *Session, h Header) {
		t.Helper()
		err := from.Queue(epoch, h.Append(nil), []byte("body"))
		frame, sealErr := from.Link().Next(epoch, nil)
		if err != nil || sealErr != nil {
			t.Fatal(err, sealErr)
		}
		mustOpen(t, to.Link(), frame)
	}
	owed := func(want ...uint64) {
		t.Helper()
		if got := restored(t, bob, stateOf(t, s)).Owed(); !slices.Equal(got, want) {
			t.Errorf("%v are owed, want %v", got, want)
		}
	}
	for range 3 {
		send(c, s, Header{Kind: KindRequest})
	}
	owed(1, 2, 3)
	send(s, c, Header{Kind: KindAnswer, Answers: 2})
	owed(1, 3)
	send(s, c, Header{Kind: KindRefusal, Answers: 1})
	send(s, c, Header{Kind: KindRefusal, Answers: 9})
	send(s, c, Header{Kind: KindStreamCancel, Answers: 3})
	owed(3)
	send(c, s, Header{Kind: KindMessage})
	send(c, s, Header{Kind: KindRequest}) // behind a message that nobody has taken: it comes again
	owed(3)
	s.ConsumedNumber(epoch, 4, headerSize+len("body"))
	owed(3, 5)
	if s.Owed(); restored(t, bob, stateOf(t, restored(t, bob, stateOf(t, s)))).Owed() == nil {
		t.Error("what is owed is forgotten by the process after the next")
	}
}
