//go:build !js

package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/hopseal/hopseal/envelope"
	"github.com/hopseal/hopseal/internal/hostile"
	"github.com/hopseal/hopseal/keys"
	"github.com/hopseal/hopseal/keys/trust"
	"github.com/hopseal/hopseal/transport"
	"github.com/hopseal/hopseal/transport/relay"
	"github.com/hopseal/hopseal/transport/relay/frame"
)

// An attacker runs the relay: everything on the way to a client passes mangle.
type attacker struct {
	*wire
	identity *keys.Identity // its own, with any name

	mu      sync.Mutex // guards what follows
	mangle  func(to string, e frame.Event) []frame.Event
	clients map[string]hostile.Inject // by the name that they joined with
	seen    []relay.Message           // as they came from honest members
}

func startAttacker(t *testing.T) *attacker {
	t.Helper()
	return startAttackerBeside(t, "")
}

// startAttackerBeside serves the page too, with the npm package in a folder.
func startAttackerBeside(t *testing.T, npmDir string) *attacker {
	t.Helper()
	a := &attacker{clients: make(map[string]hostile.Inject), identity: newIdentity(t, "mallory")}
	a.wire = startWire(t, npmDir, func(w *wire) http.Handler {
		return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			hostile.Relay(w.hub.Load(), &transport.AcceptOptions{Sealed: true}, a.meet).ServeHTTP(rw, r)
		})
	})
	return a
}

func newIdentity(t *testing.T, name string) *keys.Identity {
	t.Helper()
	id, err := keys.GenerateIdentity(name)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func (a *attacker) meet(inject hostile.Inject) hostile.Hop {
	var name string // guarded by a.mu
	return hostile.Hop{
		FromClient: func(b []byte) [][]byte {
			a.mu.Lock()
			defer a.mu.Unlock()
			if r, err := frame.ParseRequest(b); err == nil {
				if join, ok := r.(frame.Join); ok {
					name = join.Name
					a.clients[name] = inject
				}
			}
			return [][]byte{b}
		},
		ToClient: func(b []byte) (out [][]byte) {
			a.mu.Lock()
			defer a.mu.Unlock()
			e, err := frame.ParseEvent(b)
			if err != nil {
				return nil
			}
			if m, ok := e.(relay.Message); ok {
				a.seen = append(a.seen, m)
			}
			if a.mangle == nil {
				return [][]byte{b}
			}
			for _, e := range a.mangle(name, e) {
				out = append(out, e.Append(nil))
			}
			return out
		},
	}
}

// attacks makes everything pass mangle from now on.
func (a *attacker) attacks(mangle func(to string, e frame.Event) []frame.Event) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.mangle = mangle
}

// attacksMessages replaces every message by others.
func (a *attacker) attacksMessages(mangle func(to string, m relay.Message) []relay.Message) {
	a.attacks(func(to string, e frame.Event) []frame.Event {
		m, ok := e.(relay.Message)
		if !ok {
			return []frame.Event{e}
		}
		var out []frame.Event
		for _, m := range mangle(to, m) {
			out = append(out, m)
		}
		return out
	})
}

// injects sends an event to one client.
func (a *attacker) injects(t *testing.T, to string, e frame.Event) {
	t.Helper()
	a.mu.Lock()
	inject := a.clients[to]
	a.mu.Unlock()
	if err := inject(e.Append(nil)); err != nil {
		t.Fatal(err)
	}
}

// last returns the newest message that passed.
func (a *attacker) last() relay.Message {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.seen[len(a.seen)-1]
}

// readsNothing tries the attacker's own keys on everything that it saw.
func (a *attacker) readsNothing(t *testing.T, senders ...*keys.PublicIdentity) {
	t.Helper()
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.seen) == 0 {
		t.Error("the attacker saw no message")
	}
	for _, m := range a.seen {
		for _, from := range senders {
			o := envelope.Opener{Identity: a.identity, From: from, Context: "chat room lobby", InsecureAllowReplay: true}
			if text, _, err := o.Open(nil, m.Payload); err == nil {
				t.Errorf("the attacker read %q", text)
			}
		}
	}
}

// joinsAs runs a client of a given account, in memory, in a given room.
func joinsAs(t *testing.T, w *wire, a *account, room string) *user {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	r, in := io.Pipe()
	u := &user{t: t, name: a.identity.Name(), in: in, out: newScreen(), errors: newScreen(), code: make(chan int, 1), cancel: cancel}
	address, err := relayURL(w.url)
	if err != nil {
		t.Fatal(err)
	}
	l := &link{url: address, room: room, account: a, wait: backOff}
	first, err := l.connect(ctx)
	if err != nil {
		t.Fatal(err)
	}
	console, err := openConsole(ctx, stdio{in: r, out: u.out})
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		c, err := newChat(a, room, console)
		if err == nil {
			err = c.run(ctx, l, first)
		}
		if err != nil {
			t.Error(err)
		}
		u.code <- 0
		r.Close()
	}()
	t.Cleanup(u.leaves)
	u.sees("in room")
	return u
}

func accountOf(t *testing.T, name string) *account {
	t.Helper()
	a, err := newAccount(name)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// flipped returns m with one bit changed in the middle of a part of its envelope.
func flipped(m relay.Message, part string) relay.Message {
	in, err := envelope.Inspect(m.Payload)
	if err != nil {
		panic(err) // the tests flip honest messages
	}
	sections := in.Sections()
	i := slices.IndexFunc(sections, func(p envelope.Part) bool { return p.Name == part })
	m.Payload = bytes.Clone(m.Payload)
	m.Payload[sections[i].Offset+sections[i].Size/2] ^= 1
	return m
}

// Every way in which a relay can damage a message is noticed by every reader,
// with a category, and the message itself arrives all the same.
func TestHostileRelayIsNoticedAndLosesNothingA15(t *testing.T) {
	a := startAttacker(t)
	anna, bob, carol := joins(t, a.url, "anna"), joins(t, a.url, "bob"), joins(t, a.url, "carol")
	meet(anna, bob, carol)
	bob.types("I am bob")
	anna.sees("bob: I am bob")
	carol.sees("bob: I am bob")
	fromBob := a.last()
	forger := room{name: "lobby", me: newIdentity(t, "anna")}

	for _, attack := range []struct {
		name, notice string
		bad          func(m relay.Message) relay.Message
	}{
		{"body changed", "anna [proof]", func(m relay.Message) relay.Message { return flipped(m, "body") }},
		{"recipients changed", "anna [proof]", func(m relay.Message) relay.Message { return flipped(m, "recipients") }},
		{"proof changed", "anna [proof]", func(m relay.Message) relay.Message { return flipped(m, "proof") }},
		{"cut short", "anna [malformed]", func(m relay.Message) relay.Message {
			m.Payload = m.Payload[:len(m.Payload)-1]
			return m
		}},
		{"empty", "anna [malformed]", func(m relay.Message) relay.Message { m.Payload = nil; return m }},
		{"extended", "anna [malformed]", func(m relay.Message) relay.Message {
			m.Payload = append(bytes.Clone(m.Payload), 0)
			return m
		}},
		{"another's message", "anna [sender]", func(m relay.Message) relay.Message { m.Payload = fromBob.Payload; return m }},
		{"named as another's", "bob [sender]", func(m relay.Message) relay.Message { m.From = fromBob.From; return m }},
		{"from nobody", "[foreign]", func(m relay.Message) relay.Message { m.From = relay.MemberID{1}; return m }},
		{"forged", "anna [sender]", func(m relay.Message) relay.Message {
			s := envelope.Sealer{From: forger.me, To: []*keys.PublicIdentity{a.identity.Public()}, ContentType: contentType, Context: "chat room lobby"}
			m.Payload, _ = s.Seal(nil, []byte("send money"))
			return m
		}},
	} {
		t.Run(attack.name, func(t *testing.T) {
			a.attacksMessages(func(_ string, m relay.Message) []relay.Message { return []relay.Message{attack.bad(m), m} })
			anna.types("after: " + attack.name)
			for _, reader := range []*user{carol, bob} {
				if reader == bob && (attack.name == "another's message" || attack.name == "named as another's") {
					continue // bob's own message, or bob himself: below
				}
				reader.sees("! dropped a message", attack.notice)
				reader.sees("anna: after: " + attack.name)
			}
		})
	}

	a.attacksMessages(func(_ string, m relay.Message) []relay.Message { return []relay.Message{m, m} })
	anna.types("once")
	for _, reader := range []*user{carol, bob} {
		reader.sees("anna: once")
		reader.sees("! dropped a message from anna [replay]")
	}
	own := fromBob
	own.From = a.last().From
	a.injects(t, "bob", own)
	bob.sees("! dropped a message from anna [reflected]")
	a.attacks(nil)
	anna.types("all is well")
	bob.sees("anna: all is well")
	carol.sees("anna: all is well")
	for _, reader := range []*user{bob, carol} {
		if strings.Contains(reader.out.String(), "send money") {
			t.Errorf("%s was shown a forged message", reader.name)
		}
	}
}

// A message of one room, moved to another where the same two people meet, is not
// shown there.
func TestMessagesCannotBeMovedToAnotherRoom(t *testing.T) {
	a := startAttacker(t)
	anna, bob := accountOf(t, "anna"), accountOf(t, "bob")
	annaHere, bobHere := joinsAs(t, a.wire, anna, "lobby"), joinsAs(t, a.wire, bob, "lobby")
	meet(annaHere, bobHere)
	annaHere.types("about the lobby")
	bobHere.sees("anna: about the lobby")
	fromHere := a.last()
	annaThere, bobThere := joinsAs(t, a.wire, anna, "cellar"), joinsAs(t, a.wire, bob, "cellar")
	meet(annaThere, bobThere)
	annaThere.types("about the cellar")
	bobThere.sees("anna: about the cellar")

	spliced := a.last()
	spliced.Payload = fromHere.Payload
	a.injects(t, "bob", spliced) // the newest client of that name
	bobThere.sees("! dropped a message from anna [context]: it was made for another room")
	annaThere.types("still here")
	bobThere.sees("anna: still here")
}

// To be admitted in one room is not to be admitted in another.
func TestAdmissionIsForOneRoom(t *testing.T) {
	w := startRelay(t)
	anna, bob := accountOf(t, "anna"), accountOf(t, "bob")
	here, bobHere := joinsAs(t, w, anna, "lobby"), joinsAs(t, w, bob, "lobby")
	meet(here, bobHere)
	there := joinsAs(t, w, anna, "cellar")
	joinsAs(t, w, bob, "cellar")
	there.sees("bob is here, not admitted")
}

// A member that the relay makes up is shown, is sealed nothing, and reads nothing.
func TestInventedMemberReadsNothing(t *testing.T) {
	a := startAttacker(t)
	anna, bob := joins(t, a.url, "anna"), joins(t, a.url, "bob")
	meet(anna, bob)
	mallory := relay.Member{ID: relay.MemberID{9}, Name: "mallory", Presence: a.identity.Public().Bytes()}
	a.injects(t, "anna", frame.Entered{Topic: "lobby", Member: mallory})
	anna.sees("mallory is here, not admitted")
	anna.types("for bob alone")
	anna.sees("sealed to 1 member")
	bob.sees("anna: for bob alone")
	a.readsNothing(t, publicOf(t, a, "anna"))

	forger := room{name: "lobby", me: a.identity}
	payload := sealTo(t, &forger, "let me in", publicOf(t, a, "anna"))
	a.injects(t, "anna", relay.Message{Topic: "lobby", From: mallory.ID, Payload: payload})
	anna.sees("mallory wrote; it waits until you admit mallory")
	anna.types("/members")
	anna.sees("mallory  not admitted")
	if strings.Contains(anna.out.String(), "let me in") {
		t.Error("a message of a member who was not admitted was shown")
	}
}

func sealTo(t *testing.T, r *room, text string, to ...*keys.PublicIdentity) []byte {
	t.Helper()
	s := envelope.Sealer{From: r.me, To: to, ContentType: contentType, Context: r.context()}
	b, err := s.Seal(nil, []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// publicOf takes a member's identity from the join that the relay saw.
func publicOf(t *testing.T, a *attacker, name string) *keys.PublicIdentity {
	t.Helper()
	a.wire.mu.Lock()
	defer a.wire.mu.Unlock()
	for _, b := range a.frames {
		if r, err := frame.ParseRequest(b); err == nil {
			if join, ok := r.(frame.Join); ok && join.Name == name {
				p, err := keys.ParsePublic(join.Presence)
				if err != nil {
					t.Fatal(err)
				}
				return p
			}
		}
	}
	t.Fatalf("%s never joined", name)
	return nil
}

// swap shows other identities in the place of members.
func swap(presence map[string][]byte) func(string, frame.Event) []frame.Event {
	return func(_ string, e frame.Event) []frame.Event {
		switch e := e.(type) {
		case frame.Joined:
			for i, m := range e.Members {
				if p, ok := presence[m.Name]; ok {
					e.Members[i].Presence = p
				}
			}
			return []frame.Event{e}
		case frame.Entered:
			if p, ok := presence[e.Name]; ok {
				e.Presence = p
			}
			return []frame.Event{e}
		}
		return []frame.Event{e}
	}
}

// The relay shows a key of its own as bob's from the first moment. The user
// compares, and the fingerprint that bob reads out is not there.
func TestIdentitySwappedOnFirstJoinReadsNothingA06(t *testing.T) {
	a := startAttacker(t)
	false_ := newIdentity(t, "bob")
	a.identity = false_
	a.attacks(swap(map[string][]byte{"bob": false_.Public().Bytes()}))
	anna, bob := joins(t, a.url, "anna"), joins(t, a.url, "bob")
	anna.sees("bob is here, not admitted", grouped(false_.Fingerprint()))
	anna.types("/admit " + bob.prefix())
	anna.sees("! not admitted: nobody here has a fingerprint that starts so")
	anna.types("the secret")
	anna.sees("not sent: nobody here is admitted")
	bob.waitsFor(anna)
	bob.admits(anna)
	bob.types("to anna")
	anna.sees("bob wrote; it waits until you admit bob")
	a.readsNothing(t, publicOf(t, a, "bob"), publicOf(t, a, "anna"))
}

// Once bob was admitted, another key under his name is an alarm, and gets nothing.
func TestAnotherKeyUnderAnAdmittedNameIsAnAlarmA06(t *testing.T) {
	a := startAttacker(t)
	anna, bob := joins(t, a.url, "anna"), joins(t, a.url, "bob")
	meet(anna, bob)
	before := bob.fingerprint()
	bob.leaves()
	anna.sees("bob left")
	a.identity = newIdentity(t, "bob")
	a.injects(t, "anna", frame.Entered{Topic: "lobby", Member: relay.Member{ID: relay.MemberID{7}, Name: "bob", Presence: a.identity.Public().Bytes()}})
	anna.sees("! ALARM: bob is here with another fingerprint", grouped(a.identity.Fingerprint()), before)
	anna.types("the secret")
	anna.sees("not sent: nobody here is admitted")
	anna.types("/members")
	anna.sees("bob  ALARM")
	anna.types("/admit bob")
	anna.sees("! not admitted: more than one fingerprint was shown under this name")

	// Bob did make new keys, and read them out: he can be admitted, and only he.
	anna.types("/admit " + grouped(a.identity.Fingerprint())[:len("fp1 abcd efgh ijkl")])
	anna.sees("bob is admitted")
	anna.types("hello again")
	anna.sees("sealed to 1 member")
}

// Between the look and the command the relay swaps bob: the name alone does not
// admit the one whom nobody compared.
func TestSwapBetweenLookAndAdmit(t *testing.T) {
	a := startAttacker(t)
	anna, bob := joins(t, a.url, "anna"), joins(t, a.url, "bob")
	anna.waitsFor(bob)
	a.identity = newIdentity(t, "bob")
	bob.leaves()
	anna.sees("bob left")
	a.injects(t, "anna", frame.Entered{Topic: "lobby", Member: relay.Member{ID: relay.MemberID{7}, Name: "bob", Presence: a.identity.Public().Bytes()}})
	line := anna.sees("bob is here, not admitted")
	if strings.HasSuffix(line, "/admit bob") {
		t.Errorf("the client suggests the bare name: %s", line)
	}
	anna.types("/admit bob")
	anna.sees("! not admitted: more than one fingerprint")
}

// Presence that is not the member's own identity belongs to nobody.
func TestForgedPresenceCannotBeAdmitted(t *testing.T) {
	a := startAttacker(t)
	anna, bob := joins(t, a.url, "anna"), joins(t, a.url, "bob")
	meet(anna, bob)
	bobs := publicOf(t, a, "bob").Bytes()
	annas := publicOf(t, a, "anna").Bytes()
	damaged := bytes.Clone(bobs)
	damaged[len(damaged)/2] ^= 1
	for i, test := range []struct {
		name     string
		presence []byte
		want     string
	}{
		{"garbage", []byte("hello"), "not a valid identity"},
		{"nothing", nil, "not a valid identity"},
		{"damaged", damaged, "not a valid identity"},
		{"robert", bobs, "made for another name"},
		{"mirror", annas, "your own identity"},
		{"anna", newIdentity(t, "anna").Public().Bytes(), "it uses your name"},
	} {
		id := relay.MemberID{byte(i + 1)}
		a.injects(t, "anna", frame.Entered{Topic: "lobby", Member: relay.Member{ID: id, Name: test.name, Presence: test.presence}})
		anna.sees(test.name+" is here and cannot be admitted", test.want)
		anna.types("/admit " + test.name)
		anna.sees("! not admitted", test.want)
		a.injects(t, "anna", relay.Message{Topic: "lobby", From: id, Payload: []byte("x")})
		anna.sees("! dropped a message from "+test.name+" [identity]", test.want)
	}
	anna.types("still only bob")
	anna.sees("sealed to 1 member")
	bob.sees("anna: still only bob")
}

// A relay that shows a member twice must not keep anybody from sending, nor make
// a message be sealed twice to one key.
func TestMemberShownTwice(t *testing.T) {
	a := startAttacker(t)
	anna, bob := joins(t, a.url, "anna"), joins(t, a.url, "bob")
	meet(anna, bob)
	a.injects(t, "anna", frame.Entered{Topic: "lobby", Member: relay.Member{ID: relay.MemberID{5}, Name: "bob", Presence: publicOf(t, a, "bob").Bytes()}})
	anna.sees("bob is here, admitted")
	anna.types("once is enough")
	anna.sees("sealed to 1 member")
	bob.sees("anna: once is enough")
}

// What waits for an admission survives the loss of the connection.
func TestWaitingSurvivesReconnect(t *testing.T) {
	id := newIdentity(t, "bob")
	r := &room{name: "lobby", me: newIdentity(t, "anna"), known: new(trust.KnownPeers)}
	before := r.enter([16]byte{1}, "bob", id.Public().Bytes())
	r.wait(before, []byte("one"))
	members := r.members
	r.members = nil
	r.enter([16]byte{2}, "robert", id.Public().Bytes())
	r.enter([16]byte{3}, "bob", newIdentity(t, "bob").Public().Bytes())
	again := r.enter([16]byte{4}, "bob", id.Public().Bytes())
	r.inherit(members)
	for _, m := range r.members {
		if got := len(m.waiting); got != 0 && m != again || m == again && got != 1 {
			t.Errorf("%s has %d messages waiting", m.name, got)
		}
	}
}

// What strangers and their number can make the client keep is bounded.
func TestWaitingIsBounded(t *testing.T) {
	a := startAttacker(t)
	anna := joins(t, a.url, "anna")
	mallory := relay.Member{ID: relay.MemberID{9}, Name: "mallory", Presence: a.identity.Public().Bytes()}
	a.injects(t, "anna", frame.Entered{Topic: "lobby", Member: mallory})
	for range maxWaiting {
		a.injects(t, "anna", relay.Message{Topic: "lobby", From: mallory.ID, Payload: []byte("x")})
		anna.sees("mallory wrote")
	}
	a.injects(t, "anna", relay.Message{Topic: "lobby", From: mallory.ID, Payload: []byte("x")})
	anna.sees("! dropped a message from mallory [waiting]")

	r := &room{name: "lobby", me: a.identity, known: new(trust.KnownPeers)}
	for i := range byte(maxWaitingAll / maxWaitingSize) {
		m := r.enter([16]byte{i}, "x", nil)
		if !r.wait(m, make([]byte, maxWaitingSize)) || r.wait(m, []byte{1}) {
			t.Error("the bytes of one member that wait are not bounded")
		}
	}
	if r.wait(r.enter([16]byte{99}, "x", nil), []byte{1}) {
		t.Error("the bytes of all members that wait are not bounded")
	}
	r.leave([16]byte{0})
	if !r.wait(r.find([16]byte{99}), []byte{1}) {
		t.Error("what waited for a member who left still counts")
	}
	r.members = nil
	for i := range maxMembers {
		if r.enter([16]byte{byte(i), byte(i >> 8)}, "x", nil) == nil {
			t.Fatalf("only %d members fit", i)
		}
	}
	if r.enter([16]byte{}, "x", nil) != nil {
		t.Error("the members are not bounded")
	}
}

// Genuine messages that are not chat texts are not shown as such.
func TestOnlyTextIsShown(t *testing.T) {
	a := startAttacker(t)
	anna := joins(t, a.url, "anna")
	mallory := relay.Member{ID: relay.MemberID{9}, Name: "mallory", Presence: a.identity.Public().Bytes()}
	a.injects(t, "anna", frame.Entered{Topic: "lobby", Member: mallory})
	anna.sees("mallory is here")
	anna.types("/admit mallory")
	anna.sees("mallory is admitted")
	to := []*keys.PublicIdentity{publicOf(t, a, "anna")}
	for name, test := range map[string]struct {
		kind string
		data []byte
	}{
		"html":      {"text/html", []byte("<b>hi</b>")},
		"not UTF-8": {contentType, []byte("a\xff")},
		"too long":  {contentType, make([]byte, maxText+1)},
	} {
		s := envelope.Sealer{From: a.identity, To: to, ContentType: test.kind, Context: "chat room lobby"}
		payload, err := s.Seal(nil, test.data)
		if err != nil {
			t.Fatal(err)
		}
		a.injects(t, "anna", relay.Message{Topic: "lobby", From: mallory.ID, Payload: payload})
		t.Log(name)
		anna.sees("! dropped a message from mallory [content]: it is not a chat text")
	}
}

// Every reason for which a message does not open has its words.
func TestEveryReasonIsExplained(t *testing.T) {
	if got := dropped("anna", errors.New("odd")); !strings.Contains(got, "[error]") {
		t.Error(got)
	}
	if got := dropped("anna", errNotText); !strings.Contains(got, "[content]") {
		t.Error(got)
	}
}
