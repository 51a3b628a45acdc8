package core

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/hopseal/hopseal/envelope"
	"github.com/hopseal/hopseal/keys"
	"github.com/hopseal/hopseal/keys/insecurecleartext"
	"github.com/hopseal/hopseal/keys/trust"
	"github.com/hopseal/hopseal/transport/relay/frame"
)

func TestOpsJSNamesTheSameOperations(t *testing.T) {
	source, err := os.ReadFile("../../npm/ops.js")
	if err != nil {
		t.Fatal(err)
	}
	want := Operations()
	got := make([]string, len(want))
	for _, m := range regexp.MustCompile(`(?m)^  (\w+): (\d+),$`).FindAllSubmatch(source, -1) {
		n, err := strconv.Atoi(string(m[2]))
		if err != nil || n >= len(got) {
			t.Fatalf("%s: %v", m[0], err)
		}
		got[n] = string(m[1])
	}
	if !slices.Equal(got, want) {
		t.Errorf("ops.js has %q\nGo has      %q", got, want)
	}
}

func TestPackageJSONHasTheVersion(t *testing.T) {
	b, err := os.ReadFile("../../npm/package.json")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(b, []byte(`"version": "`+Version+`"`)) {
		t.Errorf("package.json is not of version %s", Version)
	}
}

func TestIdentityLifecycle(t *testing.T) {
	c := newClient(t)
	a := c.generate("ann")
	if a.name != "ann" || a.serial != 1 || a.revoked != 0 {
		t.Errorf("got %+v", a.public)
	}
	p, err := keys.ParsePublic(a.bytes)
	if err != nil || p.Fingerprint().String() != a.fingerprint || p.Issued().UnixMilli() != int64(a.issued) ||
		p.Expires().UnixMilli() != int64(a.expires) {
		t.Errorf("public half: %v, %+v", err, p)
	}
	f := c.must("identityRenew", a.handle)
	if renewed := readPublic(&f); renewed.serial <= a.serial || renewed.fingerprint != a.fingerprint {
		t.Errorf("renewed: %+v", renewed)
	}
	f = c.must("identityMarshal", a.handle)
	secret := f.bytes()
	f = c.must("identityParse", secret)
	again := identity{f.number(), readPublic(&f)}
	if again.fingerprint != a.fingerprint || again.serial <= a.serial {
		t.Errorf("parsed: %+v", again.public)
	}
	c.generate("bob") // uses the same staging buffer
	f = c.must("identityMarshal", again.handle)
	if !bytes.Equal(f.bytes(), secret) {
		t.Error("the identity changed with the staging buffer")
	}
	if _, err := keys.ParseCleartextIdentity(secret, insecurecleartext.Token{}); err != nil {
		t.Error(err)
	}
	c.wantCode("bad-argument", "identityGenerate", "")
	c.wantCode("bad-argument", "identityGenerate", strings.Repeat("x", keys.MaxNameSize+1))
	c.wantCode("invalid", "identityParse", secret[1:])
	c.wantCode("invalid", "publicParse", a.bytes[:100])
}

func TestStaleAndForeignHandlesAreErrors(t *testing.T) {
	c := newClient(t)
	a := c.generate("ann")
	guard := c.guard()
	c.wantCode("closed", "identityRenew", 0)
	c.wantCode("closed", "identityRenew", 4711)
	c.wantCode("closed", "identityRenew", guard)           // another type
	c.wantCode("closed", "identityRenew", a.public.handle) // likewise
	c.wantCode("closed", "identityMarshal", guard)         // likewise
	f := c.must("release", a.handle)
	f.end()
	c.must("release", a.handle) // a finalizer may come late
	c.wantCode("closed", "identityRenew", a.handle)
	if b := c.generate("bob"); b.handle <= guard {
		t.Errorf("handle %d was given out again", b.handle)
	}
}

func TestObjectsAreBounded(t *testing.T) {
	var o objects
	for range maxObjects {
		if _, err := o.add(1); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := o.add(1); err != errTooMany {
		t.Fatalf("got %v", err)
	}
	o.remove(17)
	if h, err := o.add(1); err != nil || h != maxObjects+1 {
		t.Fatalf("got %d, %v", h, err)
	}
	o.last = 1<<32 - 1
	o.remove(18)
	if _, err := o.add(1); err != errTooMany {
		t.Fatalf("numbers start over: %v", err)
	}
}

// TestTooManyLeavesNothingBehind fills the table up to one place, where an
// identity needs two.
func TestTooManyLeavesNothingBehind(t *testing.T) {
	c := newClient(t)
	for len(c.core.objects.byHandle) < maxObjects-1 {
		if _, err := c.core.objects.add(1); err != nil {
			t.Fatal(err)
		}
	}
	c.wantCode("too-many", "identityGenerate", "ann")
	if n := len(c.core.objects.byHandle); n != maxObjects-1 {
		t.Errorf("%d objects", n)
	}
}

func TestSealAndOpen(t *testing.T) {
	c := newClient(t)
	a, b := c.generate("ann"), c.generate("bob")
	f := c.must("sharedGenerate")
	shared := f.number()
	f = c.must("sharedMarshal", shared)
	f = c.must("sharedParse", f.bytes())
	shared2 := f.number()
	none := 0
	for name, s := range map[string]struct{ seal, open []any }{
		"recipients": {
			[]any{a.handle, []uint32{b.public.handle}, none, "", ""},
			[]any{b.handle, a.public.handle, none, "", ""},
		},
		"shared": {
			[]any{none, []uint32{}, shared, "x", "y"},
			[]any{none, none, shared2, "y", "x"},
		},
		"shared-signed": {
			[]any{a.handle, []uint32{}, shared, "", "y"},
			[]any{b.handle, a.public.handle, shared2, "y", ""},
		},
	} {
		t.Run(name, func(t *testing.T) {
			guard := c.guard()
			for _, size := range []int{0, 1, 64, 5000, 1 << 20} {
				message := bytes.Repeat([]byte{7}, size)
				f := c.must("seal", append(s.seal, "text/plain", "ctx", message)...)
				sealed := f.bytes()
				f.end()
				f = c.must("open", append(s.open, "ctx", 0, guard, sealed)...)
				if got := f.bytes(); !bytes.Equal(got, message) {
					t.Fatalf("%d bytes came back as %d", size, len(got))
				}
				f.bytes() // the claim's key and end: the guard has taken it
				f.bytes()
				if suite := f.text(); suite != name {
					t.Errorf("suite %q", suite)
				}
				again := c.wantCode("open-failed", "open", append(s.open, "ctx", 0, guard, sealed)...)
				other := c.wantCode("open-failed", "open", append(s.open, "other", 0, c.guard(), sealed)...)
				if again.Reason != "replay" || other.Reason != "context" || again.Message != other.Message {
					t.Errorf("got %+v and %+v", again, other)
				}
			}
		})
	}
	c.wantCode("bad-argument", "open", b.handle, none, none, "", "", "", 0, c.guard(), []byte{1})
	c.wantCode("seal-failed", "seal", a.handle, []uint32{}, none, "", "", "", "", []byte{1})
	c.wantCode("seal-failed", "seal", a.handle, []uint32{b.public.handle, b.public.handle}, none, "", "", "", "", []byte{1})
	c.wantCode("closed", "seal", a.handle, []uint32{b.handle}, none, "", "", "", "", []byte{1})
}

func TestInspectCoversTheEnvelope(t *testing.T) {
	c := newClient(t)
	a, b := c.generate("ann"), c.generate("bob")
	f := c.must("seal", a.handle, []uint32{b.public.handle, a.public.handle}, 0, "", "", "type", "ctx", []byte("hi"))
	sealed := f.bytes()
	want, err := envelope.Inspect(sealed)
	if err != nil {
		t.Fatal(err)
	}
	f = c.must("inspect", sealed)
	h := want.Header
	for _, text := range []string{"recipients", a.fingerprint, "", string(h.SealKey[:]), string(h.ProofKey[:]), string(h.ID[:])} {
		if got := f.text(); got != text {
			t.Errorf("got %q, want %q", got, text)
		}
	}
	if ms := int64(f.uint64()); ms != h.Time.UnixMilli() {
		t.Errorf("time %d", ms)
	}
	if got := []string{f.text(), f.text()}; !slices.Equal(got, []string{"type", "ctx"}) {
		t.Errorf("got %q", got)
	}
	if got := f.bytes(); !bytes.Equal(got, slices.Concat(want.Recipients[0][:], want.Recipients[1][:])) {
		t.Errorf("recipients %x", got)
	}
	end := uint32(0)
	for f.more() {
		_, offset, size := f.text(), f.number(), f.number()
		if offset != end {
			t.Errorf("part at %d, want %d", offset, end)
		}
		end = offset + size
	}
	if int(end) != len(sealed) {
		t.Errorf("parts end at %d of %d", end, len(sealed))
	}
	if e := c.wantCode("open-failed", "inspect", []byte("x")); e.Reason != "malformed" {
		t.Errorf("got %+v", e)
	}
}

func TestA06KnownPeers(t *testing.T) {
	c := newClient(t)
	a, b := c.generate("ann"), c.generate("bob")
	f := c.must("peersCreate")
	peers := f.number()
	room := []any{"", "room", 3, ""}
	with := func(first any, place []any, last ...any) []any { return slices.Concat([]any{first}, place, last) }
	c.wantCode("trust-unknown", "peersVerify", with(peers, room, a.public.handle)...)
	c.must("peersAdmit", with(peers, room, a.public.handle)...)
	c.must("peersVerify", with(peers, room, a.public.handle)...)
	c.wantCode("trust-unknown", "peersVerify", with(peers, room, b.public.handle)...)

	address := []any{"wss://x", "", 1, ""}
	c.must("peersAdmit", with(peers, address, a.public.handle)...)
	changed := c.wantCode("trust-changed", "peersVerify", with(peers, address, b.public.handle)...)
	if !slices.Equal(changed.Known, []string{a.fingerprint}) {
		t.Errorf("known: %q", changed.Known)
	}
	pinned := []any{"wss://y", "", 1, a.fingerprint}
	c.wantCode("trust-changed", "peersVerify", with(peers, pinned, b.public.handle)...)

	f = c.must("identityRenew", a.handle)
	renewed := readPublic(&f)
	c.must("peersVerify", with(peers, room, renewed.handle)...)
	c.wantCode("trust-rolled-back", "peersVerify", with(peers, room, a.public.handle)...)

	f = c.must("peersBytes", peers)
	f = c.must("peersParse", f.bytes())
	peers = f.number()
	f = c.must("peersAdmitted", with(peers, room)...)
	if got := f.text(); got != a.fingerprint || f.more() {
		t.Errorf("admitted %q", got)
	}
	c.must("peersForget", with(peers, room, a.fingerprint)...)
	f = c.must("peersAdmitted", with(peers, room)...)
	f.end()
	c.wantCode("bad-argument", "peersVerify", with(peers, []any{"", "", 1, ""}, a.public.handle)...)
	c.wantCode("bad-argument", "peersForget", with(peers, room, "fp1")...)
	c.wantCode("bad-argument", "peersRevoke", peers, b.public.handle)
	eve, err := keys.GenerateIdentity("eve")
	if err != nil {
		t.Fatal(err)
	}
	revocation, err := eve.Revocation()
	if err != nil {
		t.Fatal(err)
	}
	parse := func(p *keys.PublicIdentity) uint32 {
		f := c.must("publicParse", p.Bytes())
		return readPublic(&f).handle
	}
	c.must("peersRevoke", peers, parse(revocation))
	f = c.must("peersBytes", peers)
	f = c.must("peersParse", f.bytes())
	c.wantCode("trust-revoked", "peersAdmit", with(f.number(), room, parse(eve.Public()))...)
	c.wantCode("invalid", "peersParse", []byte{1})
}

func TestEveryTrustReasonAndOpenReasonHasItsCode(t *testing.T) {
	want := []string{"trust-unknown", "trust-changed", "trust-revoked", "trust-expired", "trust-rolled-back", "trust-not-yet-valid"}
	for r := trust.Unknown; r <= trust.NotYetValid; r++ {
		if got := asError(&trust.Error{Reason: r}).Code; got != want[r-1] {
			t.Errorf("reason %v is %q", r, got)
		}
	}
	for r := envelope.ReasonMalformed; r.String() != fmt.Sprintf("Reason(%d)", int(r)); r++ {
		if r > 100 {
			t.Fatal("reasons without a name are called otherwise now")
		}
		if openReasons[r] == "" && r != envelope.ReasonSize { // which nothing here limits
			t.Errorf("%v has no name", r)
		}
	}
	if got := asError(errors.New("something else")).Code; got != "bad-argument" {
		t.Errorf("got %q", got)
	}
}

// TestEveryCodeIsInTheTypes reads the codes that the core can give out of its
// sources.
func TestEveryCodeIsInTheTypes(t *testing.T) {
	types, err := os.ReadFile("../../npm/index.d.ts")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"core.go", "errors.go", "fields.go", "objects.go", "trust.go", "envelope.go", "relay.go", "conn.go", "sessionerrors.go"} {
		source, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile(`Code: "([a-z-]+[a-z])"|"(relay-[a-z-]+)"`).FindAllSubmatch(source, -1) {
			if code := string(m[1]) + string(m[2]); !bytes.Contains(types, []byte(`| "`+code+`"`)) {
				t.Errorf("%s: index.d.ts does not list %q", name, code)
			}
		}
	}
}

func TestRelayFrames(t *testing.T) {
	c := newClient(t)
	id, other := frame.MemberID{1}, frame.MemberID{2}
	for _, r := range []struct {
		name   string
		values []any
		want   frame.Request
	}{
		{"relayJoin", []any{"room", "ann", []byte("p")}, frame.Join{Topic: "room", Name: "ann", Presence: []byte("p")}},
		{"relayLeave", []any{"room"}, frame.Leave{Topic: "room"}},
		{"relayPublish", []any{"room", []byte("x")}, frame.Publish{Topic: "room", Payload: []byte("x")}},
	} {
		f := c.must(r.name, r.values...)
		if got := f.bytes(); !bytes.Equal(got, r.want.Append(nil)) {
			t.Errorf("%s: %x", r.name, got)
		}
	}
	c.wantCode("relay-bad-name", "relayJoin", "room", "", []byte{})
	c.wantCode("relay-bad-topic", "relayJoin", "", "ann", []byte{})
	c.wantCode("relay-too-large", "relayJoin", "room", "ann", make([]byte, frame.MaxPresence+1))
	c.wantCode("relay-protocol", "relayEvent", []byte("x"))
	c.wantCode("relay-protocol", "relayEvent", frame.Leave{Topic: "room"}.Append(nil))

	for _, e := range []struct {
		event frame.Event
		want  []any
	}{
		{frame.Joined{Topic: "room", ID: id, Members: []frame.Member{{ID: other, Name: "bob", Presence: []byte("b")}}},
			[]any{"joined", "room", id[:], other[:], "bob", []byte("b")}},
		{frame.Refused{Topic: "room", Code: frame.NameTaken},
			[]any{"refused", "room", "relay-name-taken", "relay: " + frame.NameTaken.String()}},
		{frame.Refused{Topic: "room", Code: 200}, []any{"refused", "room", "relay-refused", "relay: code 200"}},
		{frame.Entered{Topic: "room", Member: frame.Member{ID: other, Name: "bob", Presence: nil}},
			[]any{"entered", "room", other[:], "bob", ""}},
		{frame.Left{Topic: "room", ID: other}, []any{"left", "room", other[:]}},
		{frame.Message{Topic: "room", From: other, Payload: []byte("x")}, []any{"message", "room", other[:], []byte("x")}},
	} {
		f := c.must("relayEvent", e.event.Append(nil))
		if !bytes.Equal(f.rest, encode(e.want...)) {
			t.Errorf("%#v: %x", e.event, f.rest)
		}
	}
}

func TestRequestsThatAreNotExactAreRefused(t *testing.T) {
	c := newClient(t)
	for op := range operations {
		if operations[op].run == nil {
			continue
		}
		for _, b := range [][]byte{{1}, {1, 2, 3}, {255, 255, 255, 255}, {1, 0, 0, 0}, append(encode("a", "b", "c", 1, 2, 3, 4, 5, 6, 7, 8, 9), 0)} {
			_, err := c.raw(op, b)
			var e *Error
			if !errors.As(err, &e) || e.Code != "bad-argument" && e.Code != "closed" {
				t.Errorf("%s on %x: %v", operations[op].name, b, err)
			}
		}
	}
	for _, op := range []int{-1 << 31, -1, 0, 3, len(operations), 1<<31 - 1} {
		if _, err := c.raw(op, nil); err == nil {
			t.Errorf("operation %d exists", op)
		}
	}
	c.must("info") // none of it killed the core
}

func TestLengthsFromOutsideAreBounded(t *testing.T) {
	c := New(func() {})
	for _, n := range []int{-1, -1 << 31, MaxRequest + 1, 1<<31 - 1} {
		if c.Buffer(n) != nil {
			t.Errorf("a buffer of %d bytes", n)
		}
		if c.Call(1, n) <= 0 { // read as an empty request
			t.Errorf("a call with %d bytes", n)
		}
	}
}

func TestAPanicMakesTheCoreDead(t *testing.T) {
	before := operations[1]
	defer func() { operations[1] = before }()
	operations[1] = operation{"info", func(*Core, *request, []byte) ([]byte, error) { panic("broken") }}
	c := newClient(t)
	guard := c.guard()
	if e := c.wantCode("core-dead", "info"); !strings.Contains(e.Message, "broken") {
		t.Errorf("message %q", e.Message)
	}
	operations[1] = before
	c.wantCode("core-dead", "info")
	c.wantCode("core-dead", "release", guard)
	if len(c.core.objects.byHandle) != 0 {
		t.Error("a dead core still holds keys")
	}
	newClient(t).must("info")
}

func TestStagingShrinksAfterALargeCall(t *testing.T) {
	c := newClient(t)
	if _, err := c.call("publicParse", make([]byte, 8<<20)); err == nil {
		t.Fatal("8 MiB of zeros are an identity")
	}
	c.must("info")
	c.must("relayLeave", "room")
	if n := len(c.core.Buffer(0)); n > keepStaging {
		t.Errorf("staging keeps %d bytes", n)
	}
}

// TestABufferThatIsOutgrownIsCleared looks at the old buffer, which nobody has an
// address of any more, after a response that did not fit behind its request.
func TestABufferThatIsOutgrownIsCleared(t *testing.T) {
	c := newClient(t)
	request := encode("room", bytes.Repeat([]byte("secret"), 20000))
	old := c.core.Buffer(len(request))
	f, err := c.raw(number(t, "relayPublish"), request)
	if err != nil || len(f.bytes()) < 120000 {
		t.Fatal(err)
	}
	if &old[0] == &c.core.Buffer(0)[0] {
		t.Fatal("the response fits: this tests nothing")
	}
	if bytes.Contains(old, []byte("secret")) {
		t.Error("the old buffer still holds the request")
	}
}

// TestA28CallsAllocateInProportion measures what a request can make the core
// allocate beyond itself.
func TestA28CallsAllocateInProportion(t *testing.T) {
	c := newClient(t)
	peers := append([]byte{0x92, 0x01, 0xdd, 0, 0xff, 0xff, 0xff}, make([]byte, 1<<20)...)
	for _, r := range []struct {
		name   string
		values []any
	}{
		{"peersParse", []any{peers}},
		{"publicParse", []any{make([]byte, 1<<20)}},
		{"inspect", []any{append([]byte{0x95, 1, 0xc6, 0xff, 0xff, 0xff, 0xff}, make([]byte, 1<<20)...)}},
		{"relayEvent", []any{append([]byte{0x94, 4, 0xa1, 'r'}, make([]byte, 1<<20)...)}},
		{"seal", []any{0, make([]byte, 1<<20), 0, "", "", "", "", ""}},
	} {
		request := encode(r.values...)
		copy(c.core.Buffer(len(request)), request)
		op := number(t, r.name)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		if c.core.Call(op, len(request)) >= 0 {
			t.Errorf("%s: accepted", r.name)
		}
		runtime.ReadMemStats(&after)
		if got, most := after.TotalAlloc-before.TotalAlloc, uint64(8*len(request)+64<<10); got > most {
			t.Errorf("%s: %d bytes take %d bytes, want at most %d", r.name, len(request), got, most)
		}
	}
}

func TestGuardRefusesWhatIsOlder(t *testing.T) {
	c := newClient(t)
	a, b := c.generate("ann"), c.generate("bob")
	f := c.must("guardCreate", 0, 0)
	late := f.number()
	f = c.must("seal", a.handle, []uint32{b.public.handle}, 0, "", "", "", "", []byte("hi"))
	sealed := f.bytes()
	e := c.wantCode("open-failed", "open", b.handle, a.public.handle, 0, "", "", "", 0, late, sealed)
	if e.Reason != "time" {
		t.Errorf("reason %q", e.Reason)
	}
	guard := c.guard()
	c.must("open", b.handle, a.public.handle, 0, "", "", "", 0, guard, sealed)
	f = c.must("guardBytes", guard)
	f = c.must("guardParse", f.bytes())
	if e := c.wantCode("open-failed", "open", b.handle, a.public.handle, 0, "", "", "", 0, f.number(), sealed); e.Reason != "replay" {
		t.Errorf("a guard that came back: %q", e.Reason)
	}
	c.wantCode("invalid", "guardParse", []byte{1})
}

// Whoever has a cache of its own gets what it needs to ask it; an old message is
// refused before.
func TestOpenForACallersCache(t *testing.T) {
	c := newClient(t)
	a, b := c.generate("ann"), c.generate("bob")
	f := c.must("seal", a.handle, []uint32{b.public.handle}, 0, "", "", "", "", []byte("hi"))
	sealed := f.bytes()
	var first []byte
	for range 2 {
		f = c.must("open", b.handle, a.public.handle, 0, "", "", "", 3_600_000, 0, sealed)
		data, key, until := f.bytes(), f.bytes(), f.uint64()
		in, err := envelope.Inspect(sealed)
		if err != nil || string(data) != "hi" || len(key) != 32 || first != nil && !bytes.Equal(first, key) {
			t.Errorf("%q, key %x, %v", data, key, err)
		}
		if want := in.Header.Time.UnixMilli() + 3_600_000 + 301_000; int64(until) != want {
			t.Errorf("to be kept until %d, want %d", until, want)
		}
		first = key
	}
	c.wantCode("bad-argument", "open", b.handle, a.public.handle, 0, "", "", "", uint32(1<<32-1), 0, sealed)
	sealed[len(sealed)-1] ^= 1
	c.wantCode("open-failed", "open", b.handle, a.public.handle, 0, "", "", "", 0, 0, sealed)
}
