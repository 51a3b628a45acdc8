package engine

import (
	"bytes"
	"crypto/ecdh"
	"crypto/hkdf"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/hopseal/hopseal/internal/label"
	"github.com/hopseal/hopseal/internal/slowtest"
)

// due is when a session that began at epoch wants other keys.
var due = epoch.Add(DefaultRekeyAfter)

// openAt opens a frame as a driver does, saving what there is to save.
func openAt(t testing.TB, now time.Time, l *Link, frame []byte) Event {
	t.Helper()
	_, event, err := l.Open(now, nil, frame)
	if err != nil {
		t.Fatalf("open: %v (%+v)", err, err)
	}
	if event == Rekeyed {
		l.Saved()
	}
	return event
}

// sayAt seals a message and opens it at the other end.
func sayAt(t testing.TB, now time.Time, from, to *Link) {
	t.Helper()
	if event := openAt(t, now, to, must(from.Seal(now, nil, nil, []byte("hello")))); event != Message {
		t.Fatalf("a message is %v", event)
	}
}

// carry hands one control record over, which must be of the type.
func carry(t testing.TB, now time.Time, from, to *Link, kind byte) {
	t.Helper()
	frame := must(from.Control(now, nil))
	if len(frame) == 0 || frame[0]&typeMask != kind {
		t.Fatalf("%.1x is due, want type %d", frame, kind)
	}
	openAt(t, now, to, frame)
}

// mustRekey has a client that is due go through a rekey with its server.
func mustRekey(t testing.TB, now time.Time, c, s *Link) {
	t.Helper()
	sayAt(t, now, c, s)
	quiet(c, s)
	carry(t, now, c, s, typeRekeyRequest)
	carry(t, now, s, c, typeRekeyAnswer)
	carry(t, now, c, s, typeSwitch)
	carry(t, now, s, c, typeSwitch)
}

// quiet takes back the acks that are due, for tests of what else is.
func quiet(links ...*Link) {
	for _, l := range links {
		l.session.in.ackAt, l.session.out.ask = time.Time{}, false
	}
}

// wait is the least time between two rekeys by default.
func wait(n int) time.Time { return epoch.Add(time.Duration(n) * DefaultRekeyAfter) }

// The steps of a rekey, with messages of both ends between any two of them.
func TestRekey(t *testing.T) {
	c, s := pair(t)
	before := struct{ c, s direction }{c.send, s.send}
	now := due
	chat := func(toServer, toClient byte) {
		for from, to := range map[*Link]*Link{c: s, s: c} {
			frame := must(from.Seal(now, nil, nil, []byte("hello")))
			if want := toClient; from == s && frame[0]&epochMask != want {
				t.Errorf("the server is in epoch %x, want %x", frame[0]&epochMask, want)
			} else if want := toServer; from == c && frame[0]&epochMask != want {
				t.Errorf("the client is in epoch %x, want %x", frame[0]&epochMask, want)
			}
			openAt(t, now, to, frame)
		}
		quiet(c, s)
	}
	chat(0, 0)
	old := c.session.secret.value
	for _, step := range []struct {
		from, to           *Link
		kind               byte
		toServer, toClient byte
		secrets            int // at the server
	}{
		{c, s, typeRekeyRequest, 0, 0, 2},
		{s, c, typeRekeyAnswer, 0, 0, 2},
		{c, s, typeSwitch, epochStep, 0, 1}, // the message behind it confirms
		{s, c, typeSwitch, epochStep, epochStep, 1},
	} {
		carry(t, now, step.from, step.to, step.kind)
		chat(step.toServer, step.toClient)
		if n := len(s.session.ResumeIDs()); n != step.secrets {
			t.Errorf("behind type %d the server has %d secrets", step.kind, n)
		}
	}
	for _, l := range []*Link{c, s} {
		if !l.session.Deadline().IsZero() || must(l.Control(now, nil)) != nil {
			t.Error("more is due")
		}
		if l.session.Stats().Rekeys != 1 {
			t.Errorf("%d rekeys are counted", l.session.Stats().Rekeys)
		}
	}
	if c.session.secret.value != s.session.secret.value || c.session.secret.value == old {
		t.Error("the ends do not share a new resume secret")
	}
	if c.rekey.secret != s.rekey.secret || bytes.Equal(c.send.id(), before.c.id()) || !bytes.Equal(c.send.id(), s.recv.id()) || !bytes.Equal(s.send.id(), c.send.id()) {
		t.Error("the ends do not share a new rekey secret and a new link id")
	}
	if c.send.number <= before.c.number || s.send.number <= before.s.number {
		t.Error("numbers begin again")
	}
}

// A rekey passes between the pieces of a large message, which ends in another epoch than
// it began in, and is what it was.
func TestRekeyBetweenPieces(t *testing.T) {
	directions(t, func(t *testing.T, from, to *Link) {
		c, s := from, to
		if !c.session.client {
			c, s = s, c
		}
		message := bytes.Repeat([]byte("large "), 6*pieceSize/6)
		sayAt(t, due, c, s)
		quiet(c, s)
		steps := [][2]*Link{{c, s}, {s, c}, {c, s}, {s, c}}
		var got []byte
		var event Event
		frame := must(from.Seal(due, nil, nil, message))
		for len(frame) > 0 {
			var err error
			if got, event, err = to.Open(due, got, frame); err != nil {
				t.Fatal(err)
			}
			quiet(c, s)
			if len(steps) > 0 {
				kept := len(got)
				if step := steps[0]; step[1] == to {
					control := must(step[0].Control(due, nil))
					if got, event, err = to.Open(due, got, control); err != nil || len(got) != kept {
						t.Fatal(event, err)
					}
					if event == Rekeyed {
						to.Saved()
					}
				} else {
					openAt(t, due, step[1], must(step[0].Control(due, nil)))
				}
				steps = steps[1:]
			}
			frame = must(from.Next(due, nil))
		}
		if event != Message || !bytes.Equal(got, message) || from.send.epoch != epochStep || len(steps) > 0 {
			t.Errorf("event %v, %d bytes of %d, epoch %x", event, len(got), len(message), from.send.epoch)
		}
	})
}

// What makes a rekey due: a client's record when the last ML-KEM exchange is old.
func TestRekeyIsDue(t *testing.T) {
	c, s := pair(t)
	sayAt(t, due.Add(-1), c, s)
	quiet(c, s)
	if frame := must(c.Control(due.Add(-1), nil)); frame != nil || !c.session.Deadline().IsZero() {
		t.Error("too early")
	}
	if frame := must(c.Control(due.Add(time.Hour), nil)); frame != nil {
		t.Error("keys that nobody uses are renewed")
	}
	// An ack is a record too.
	openAt(t, due, c, must(s.Seal(due, nil, nil, nil)))
	carry(t, due.Add(time.Second), c, s, typeAck)
	if c.session.Deadline().IsZero() || c.session.Deadline().After(due) {
		t.Error("nothing is due behind an ack")
	}
	carry(t, due.Add(time.Second), c, s, typeRekeyRequest)
	if frame := must(c.Control(due.Add(time.Hour), nil)); frame != nil {
		t.Error("a second request in one epoch")
	}

	// A client that is told never to begin one does not, but for its server.
	cfg := configFor(alice)
	cfg.RekeyAfter = -1
	x, y := clientOf(cfg, alice), server(bob)
	mustMeet(t, x, y)
	c, s = x.h.Session().Link(), y.h.Session().Link()
	late := epoch.Add(DefaultRekeyAfter * 4 / 3)
	for _, at := range []time.Time{due, late.Add(-1)} {
		sayAt(t, at, c, s)
		sayAt(t, at, s, c)
		quiet(c, s)
		if must(c.Control(at, nil)) != nil || must(s.Control(at, nil)) != nil {
			t.Errorf("something is due %v after the beginning", at.Sub(epoch))
		}
	}
	sayAt(t, late, s, c)
	quiet(c, s)
	carry(t, late, s, c, typeRekeyWanted)
	if must(s.Control(late, nil)) != nil {
		t.Error("a server says it twice")
	}
	carry(t, late, c, s, typeRekeyRequest)
	carry(t, late, s, c, typeRekeyAnswer)
	carry(t, late, s, c, typeSwitch) // in either order
	carry(t, late, c, s, typeSwitch)
	sayAt(t, late, c, s)
	sayAt(t, late, s, c)

	for after, ok := range map[time.Duration]bool{MinRekeyAfter: true, MinRekeyAfter - 1: false, 1: false, -1: true} {
		cfg.RekeyAfter = after
		if _, err := NewClient(cfg, epoch); (err == nil) != ok {
			t.Errorf("RekeyAfter %v: %v", after, err)
		}
	}
}

// Wishes cross requests, and a client that has just changed its keys makes a server that
// wants more of them wait.
func TestRekeyWanted(t *testing.T) {
	c, s := pair(t)
	now := epoch.Add(DefaultRekeyAfter * 4 / 3)
	sayAt(t, now, s, c)
	sayAt(t, now, c, s)
	quiet(c, s)
	wish, request := must(s.Control(now, nil)), must(c.Control(now, nil))
	if event := openAt(t, now, c, wish); event != Asked {
		t.Errorf("a wish is %v", event)
	}
	openAt(t, now, s, request)
	carry(t, now, s, c, typeRekeyAnswer)
	carry(t, now, s, c, typeSwitch)
	carry(t, now, c, s, typeSwitch)
	sayAt(t, now, c, s)
	quiet(c, s)

	// A server that always wants another.
	openAt(t, now, c, sealWish(s))
	if got, want := c.session.Deadline(), now.Add(MinRekeyAfter); !got.Equal(want) {
		t.Errorf("the next request is due at %v, want %v", got, want)
	}
	if must(c.Control(now, nil)) != nil {
		t.Error("a client computes for every wish")
	}
	mustRefuse(t, c, sealWish(s), ReasonRekey) // and one in an epoch is enough
}

func sealWish(s *Link) []byte {
	return must(s.send.sealFields(epoch, nil, typeRekeyWanted, nil))
}

// The clock is the session's: links that last less than a quarter of an hour do not put
// a rekey off.
func TestRekeyIsDueAcrossLinks(t *testing.T) {
	c, s := sessions(t)
	for _, lost := range []byte{0, typeRekeyRequest, typeRekeyAnswer} {
		a, b := mustRevive(t, c, s)
		sayAt(t, due, a, b)
		quiet(a, b)
		if lost == 0 {
			continue
		}
		request := must(a.Control(due, nil))
		if request[0] != typeRekeyRequest {
			t.Fatalf("type %d is due on a link that is new", request[0])
		}
		if lost == typeRekeyAnswer {
			openAt(t, due, b, request)
		}
	}
	a, b := mustRevive(t, c, s)
	mustRekey(t, due, a, b)
	a, b = mustRevive(t, c, s)
	sayAt(t, due.Add(time.Minute), a, b)
	quiet(a, b)
	if must(a.Control(due.Add(time.Minute), nil)) != nil {
		t.Error("due again, after a minute")
	}
}

// Nothing is sent that could lead to a secret which the driver has not stored yet, and
// meanwhile messages pass.
func TestRekeyWaitsForTheDriver(t *testing.T) {
	c, s := pair(t)
	sayAt(t, due, c, s)
	quiet(c, s)
	unsaved := func(to *Link, frame []byte) {
		t.Helper()
		if _, event, err := to.Open(due, nil, frame); event != Rekeyed || err != nil {
			t.Fatal(event, err)
		}
		if must(to.Control(due, nil)) != nil || !to.session.Deadline().IsZero() {
			t.Error("goes on before it is saved")
		}
		for range 3 {
			sayAt(t, due, c, s)
			sayAt(t, due, s, c)
		}
		quiet(c, s)
		to.Saved()
		if to.session.Deadline().IsZero() {
			t.Error("does not go on")
		}
		to.Saved() // does nothing more
	}
	unsaved(s, must(c.Control(due, nil)))
	if len(s.session.ResumeIDs()) != 2 {
		t.Error("records under the old keys have confirmed the new secret")
	}
	unsaved(c, must(s.Control(due, nil)))
	carry(t, due, s, c, typeSwitch)
	carry(t, due, c, s, typeSwitch)
	s.Saved()
	sayAt(t, due, c, s)
	sayAt(t, due, s, c)
}

// Epochs count modulo 4, keys do not come round, and each has its own link id.
func TestRekeyEpochsWrap(t *testing.T) {
	c, s := pair(t)
	seen := map[string]bool{}
	for n := range 10 {
		for _, key := range [][]byte{c.send.chain[:], s.send.chain[:], c.send.id(), c.rekey.secret[:], c.session.secret.value[:]} {
			if seen[string(key)] {
				t.Fatalf("epoch %d repeats a secret", n)
			}
			seen[string(key)] = true
		}
		now := wait(n + 1)
		frame := must(c.Seal(now, nil, nil, nil))
		if got := frame[0] & epochMask; got != byte(n%4)*epochStep {
			t.Errorf("epoch %d is %x on the wire", n, got)
		}
		openAt(t, now, s, frame)
		mustRekey(t, now, c, s)
	}
	if c.session.Stats().Rekeys != 10 || s.session.Stats().Rekeys != 10 {
		t.Error("not all rekeys are counted")
	}
}

// A tour collects the control records of a rekey, and the receivers before each.
type tour struct {
	frames [][]byte
	before []*Link // clones of who receives it
}

func newTour(t *testing.T, c, s *Link) (tr tour) {
	c.session.random = fixed(1, 2)
	sayAt(t, due, c, s)
	quiet(c, s)
	for _, ends := range [][2]*Link{{c, s}, {s, c}, {c, s}, {s, c}} {
		frame := must(ends[0].Control(due, nil))
		tr.frames, tr.before = append(tr.frames, frame), append(tr.before, clone(ends[1]))
		openAt(t, due, ends[1], frame)
	}
	return tr
}

// A15: every bit of every record of a rekey counts.
func TestA15EveryBitOfARekeyCounts(t *testing.T) {
	step := 1
	if slowtest.Mode {
		step = 61
	}
	c, s := pair(t)
	tr := newTour(t, c, s)
	for i, frame := range tr.frames {
		for bit := 0; bit < 8*len(frame); bit += step {
			bad := bytes.Clone(frame)
			bad[bit/8] ^= 1 << (bit % 8)
			if _, _, err := clone(tr.before[i]).Open(due, nil, bad); !errors.Is(err, ErrRecord) {
				t.Fatalf("record %d, bit %d: %v", i, bit, err)
			}
		}
		if _, _, err := again(tr.before[i]).Open(due, nil, frame); err != nil {
			t.Fatalf("record %d itself: %v", i, err)
		}
	}
}

// Not only the record around them: every bit of the shares counts, to an end whose peer
// is hostile.
func TestEveryBitOfARekeyExchangeCounts(t *testing.T) {
	step := 37
	if slowtest.Mode {
		step = 211
	}
	if os.Getenv("HOPSEAL_LONG_TESTS") != "" {
		step = 1
	}
	c, s := pair(t)
	tr := newTour(t, c, s)
	inner := func(i int) []byte {
		l := again(tr.before[i])
		plain, reason := l.recv.open(epoch, nil, tr.frames[i])
		if reason != 0 {
			t.Fatal("does not open")
		}
		size, _ := fieldsSizeOf(tr.frames[i][0] & typeMask)
		return plain[:size]
	}
	for i, kind := range []byte{typeRekeyRequest, typeRekeyAnswer} {
		good := inner(i)
		for bit := 0; bit < 8*len(good); bit += step {
			bad := bytes.Clone(good)
			bad[bit/8] ^= 1 << (bit % 8)
			to := again(tr.before[i])
			from := &Link{send: to.recv} // whoever has the keys
			from.send.aad = bytes.Clone(to.recv.aad)
			mustRefuse(t, to, sealPlain(from, kind, appendPadded(nil, bad, nil)), ReasonRekey)
		}
	}
}

// again copies a receiver of a tour. A client's exchange, which an answer changes, is
// made a second time.
func again(l *Link) *Link {
	twin := clone(l)
	if kem := twin.rekey.kem; kem != nil {
		x := newKeyedExchange(true, rekeyPrologue(twin.session.id[:], twin.send.id()), twin.rekey.secret[:], fixed(1, 2).ephemeral)
		must(x.writeFirst(kem.EncapsulationKey().Bytes()))
		twin.rekey.exchange = x
	}
	return twin
}

// A15: a record of a rekey counts once, in its place, in its epoch.
func TestA15RekeyInOrder(t *testing.T) {
	c, s := pair(t)
	tr := newTour(t, c, s)
	behind := must(c.Seal(due, nil, nil, []byte("hello")))
	for i, to := range tr.before {
		for n, frame := range tr.frames {
			if n == i {
				continue
			}
			if _, _, err := again(to).Open(due, nil, frame); !errors.Is(err, ErrRecord) {
				t.Errorf("record %d in the place of %d: %v", n, i, err)
			}
		}
	}
	mustRefuse(t, clone(tr.before[2]), behind, ReasonType) // a client's switch is dropped
	for _, frame := range tr.frames {                      // again, in the epoch that they led to
		for _, to := range []*Link{c, s} {
			if _, _, err := clone(to).Open(due, nil, frame); !errors.Is(err, ErrRecord) {
				t.Errorf("a replay: %v", err)
			}
		}
	}
	mustRefuse(t, clone(c), behind, ReasonCipher) // A11
	forged := bytes.Clone(behind)
	forged[0] += epochStep
	mustRefuse(t, clone(s), forged, ReasonType)
	openAt(t, due, s, behind)
}

// A hostile peer that is not in step, or in a hurry, loses the link for it. It cannot
// have this end compute one exchange after the other.
func TestRekeyOutOfTurnIsFatal(t *testing.T) {
	request := func(l *Link) []byte {
		l.rekey.step = rekeyAsked
		return appendPadded(nil, must(l.request()), nil)
	}
	noise := func(size int) []byte { return appendPadded(nil, make([]byte, size), nil) }
	empty := appendPadded(nil, nil, nil)
	fresh := func(t *testing.T) (c, s *Link) { return pair(t) }
	renewed := func(t *testing.T) (c, s *Link) { c, s = pair(t); mustRekey(t, due, c, s); return c, s }
	asked := func(t *testing.T) (c, s *Link) {
		c, s = pair(t)
		sayAt(t, due, c, s)
		quiet(c, s)
		carry(t, due, c, s, typeRekeyRequest)
		return c, s
	}
	const toServer, toClient = false, true
	for name, test := range map[string]struct {
		begin    func(*testing.T) (c, s *Link)
		toClient bool
		kind     byte
		plain    func(from *Link) []byte
		after    time.Duration
	}{
		"request to a client":            {fresh, toClient, typeRekeyRequest, request, 0},
		"answer to a server":             {fresh, toServer, typeRekeyAnswer, func(*Link) []byte { return noise(rekeyAnswerSize) }, 0},
		"wish to a server":               {fresh, toServer, typeRekeyWanted, func(*Link) []byte { return empty }, 0},
		"answer to nothing":              {fresh, toClient, typeRekeyAnswer, func(*Link) []byte { return noise(rekeyAnswerSize) }, 0},
		"switch to a server, of nothing": {fresh, toServer, typeSwitch, func(*Link) []byte { return empty }, 0},
		"switch to a client, of nothing": {fresh, toClient, typeSwitch, func(*Link) []byte { return empty }, 0},
		"switch before the answer":       {asked, toServer, typeSwitch, func(*Link) []byte { return empty }, 0},
		"switch without an answer":       {asked, toClient, typeSwitch, func(*Link) []byte { return empty }, 0},
		"second request":                 {asked, toServer, typeRekeyRequest, request, time.Hour},
		"garbled answer":                 {asked, toClient, typeRekeyAnswer, func(*Link) []byte { return noise(rekeyAnswerSize) }, 0},
		"garbled request":                {fresh, toServer, typeRekeyRequest, func(*Link) []byte { return noise(rekeyRequestSize) }, 0},
		"second switch":                  {renewed, toServer, typeSwitch, func(*Link) []byte { return empty }, 0},
		"request in a hurry":             {renewed, toServer, typeRekeyRequest, request, rekeyPause - 1},
		"low-order share":                {fresh, toServer, typeRekeyRequest, lowOrderRequest, 0},
		"zero encapsulation key":         {fresh, toServer, typeRekeyRequest, func(l *Link) []byte { return requestWith(l, make([]byte, ekSize)) }, 0},
		"encapsulation key above q":      {fresh, toServer, typeRekeyRequest, func(l *Link) []byte { return requestWith(l, bytes.Repeat([]byte{255}, ekSize)) }, 0},
		"request of another session":     {fresh, toServer, typeRekeyRequest, func(*Link) []byte { c, _ := pair(t); return request(c) }, 0},
	} {
		t.Run(name, func(t *testing.T) {
			c, s := test.begin(t)
			from, to := c, s
			if test.toClient {
				from, to = s, c
			}
			at := s.session.healed.Add(test.after)
			plain := test.plain(from)
			from.send.next(test.kind | from.send.epoch)
			frame := from.send.aead.Seal([]byte{test.kind | from.send.epoch}, from.send.nonce[:], plain, from.send.aad)
			_, _, err := to.Open(at, nil, frame)
			wantReason(t, err, ErrRecord, ReasonRekey)
			if _, _, err := to.Open(at, nil, frame); err != ErrClosed {
				t.Errorf("after that: %v", err)
			}
		})
	}
	// The same, half a minute after the last.
	c, s := renewed(t)
	c.rekey.step, c.rekey.due = rekeyWanted, longAgo
	quiet(c, s)
	openAt(t, due.Add(rekeyPause), s, must(c.Control(due, nil)))
	// Sizes that these types do not have, and data behind the fields.
	for _, plain := range [][]byte{
		appendPadded(nil, nil, nil),
		appendPadded(nil, make([]byte, rekeyAnswerSize), nil),
		appendPadded(nil, make([]byte, rekeyRequestSize+minBucket), nil),
		appendPadded(nil, make([]byte, rekeyRequestSize), []byte{1}),
	} {
		c, s := pair(t)
		mustRefuse(t, s, sealPlain(c, typeRekeyRequest, plain), ReasonEncoding)
	}
}

// requestWith is a request with a KEM key of the sender's choice.
func requestWith(l *Link, ek []byte) []byte {
	x := newKeyedExchange(true, rekeyPrologue(l.session.id[:], l.send.id()), l.rekey.secret[:], nil)
	return appendPadded(nil, must(x.writeFirst(ek)), nil)
}

func lowOrderRequest(l *Link) []byte {
	o := rekeyOutsider(l)
	share := make([]byte, shareSize)
	o.e(share)
	ek := must(random{}.generateKEM()).EncapsulationKey().Bytes()
	return appendPadded(nil, append(share, o.encrypt(ek)...), nil)
}

// rekeyOutsider computes a rekey from the specification.
func rekeyOutsider(l *Link) *outsider {
	name := []byte("Noise_NNpsk0_25519_AESGCM_SHA256")
	o := &outsider{ck: name, h: name}
	id := l.session.ID()
	o.mixHash(slices.Concat([]byte("hopseal/1 session prologue\x00\x05rekey"), id[:], l.send.id()))
	o.mixKeyAndHash(l.rekey.secret[:])
	return o
}

// The link may be lost at every step, and in every sequence of such losses: the next
// resume works, and the next rekey too.
func TestRekeySurvivesLossAtEveryStep(t *testing.T) {
	order := []struct {
		fromClient bool
		kind       byte
	}{{true, typeRekeyRequest}, {false, typeRekeyAnswer}, {true, typeSwitch}, {false, typeSwitch}, {true, typeData}}
	sequences := [][]int{{1, 1}, {1, 2}, {2, 1}, {2, 2, 2}, {2, 3, 2}, {3, 2, 3}, {1, 2, 3, 4, 5}, {5, 4, 3, 2, 1}}
	for n := range 6 {
		sequences = append(sequences, []int{n})
	}
	for _, losses := range sequences {
		for _, inResume := range []int{0, 4, 5} { // and a frame of the next resume after it
			if slowtest.Mode && inResume > 0 {
				continue
			}
			t.Run(fmt.Sprint(losses, inResume), func(t *testing.T) {
				c, s := sessions(t)
				now := due
				for _, n := range losses {
					a, b := mustRevive(t, c, s)
					greet(t, a, b)
					drain(t, a, b)
					drain(t, b, a)
					now = now.Add(DefaultRekeyAfter)
					sayAt(t, now, a, b)
					quiet(a, b)
					for i, step := range order {
						from, to := a, b
						if !step.fromClient {
							from, to = b, a
						}
						var frame []byte
						if step.kind == typeData {
							frame = must(from.Seal(now, nil, nil, []byte("lost")))
						} else if frame = must(from.Control(now, nil)); frame[0]&typeMask != step.kind {
							t.Fatalf("type %d is due, want %d", frame[0]&typeMask, step.kind)
						}
						if i+1 == n {
							break
						}
						openAt(t, now, to, frame)
					}
					lose := func(i int, frame []byte) []byte {
						if i == inResume {
							return nil
						}
						return frame
					}
					if inResume > 0 {
						if cErr, sErr := revive(t, reviverOf(t, c), reviverOf(t, s), lose); cErr != nil || sErr != nil {
							t.Fatalf("losing r%d: %v, %v", inResume, cErr, sErr)
						}
					}
				}
				a, b := mustRevive(t, c, s)
				greet(t, a, b)
				drain(t, a, b)
				drain(t, b, a)
				mustRekey(t, now.Add(DefaultRekeyAfter), a, b)
				sayAt(t, now, a, b)
				sayAt(t, now, b, a)
				if len(s.ResumeIDs()) != 1 || c.ResumeIDs()[0] != s.ResumeIDs()[0] {
					t.Error("the ends do not share one secret in the end")
				}
			})
		}
	}
}

// A process may end behind every step of a rekey, at either end or at both, and go on
// from what it has stored: its state before each frame that it wrote.
func TestRekeySurvivesRestartAtEveryStep(t *testing.T) {
	const all = 8
	for n := range all + 1 {
		for _, who := range []string{"client", "server", "both"} {
			c, s := storedSessions(t)
			a, b := c.Link(), s.Link()
			sayAt(t, due, a, b)
			quiet(a, b)
			states := map[*Session][]byte{c: stateOf(t, c), s: stateOf(t, s)}
			steps := 0
			do := func(f func()) {
				if steps++; steps <= n {
					f()
				}
			}
			hand := func(from, to *Link, frame []byte) {
				do(func() { states[from.session] = stateOf(t, from.session) }) // and it is written
				do(func() { openAt(t, due, to, frame) })
			}
			control := func(l *Link) (frame []byte) {
				if steps < n {
					frame = must(l.Control(due, nil))
				}
				return frame
			}
			hand(a, b, control(a)) // request
			hand(b, a, control(b)) // answer
			hand(a, b, control(a)) // switch
			a.session.out.ask = true
			hand(a, b, control(a)) // an ask, which confirms
			if who != "server" {
				c = restored(t, alice, states[c])
			}
			if who != "client" {
				s = restored(t, bob, states[s])
			}
			a, b = mustRevive(t, c, s)
			greet(t, a, b)
			drain(t, a, b)
			if len(s.ResumeIDs()) != 1 || c.secret.value != s.secret.value {
				t.Fatalf("step %d, %s: the ends do not share one secret", n, who)
			}
			mustRekey(t, wait(2), a, b)
		}
	}
}

// What a rekey has under way when a resume takes the link's place leads nowhere.
func TestResumeDropsRekey(t *testing.T) {
	for n := range 4 {
		c, s := sessions(t)
		a, b := generous(c.Link()), generous(s.Link())
		sayAt(t, due, a, b)
		quiet(a, b)
		var late []byte
		var to *Link
		for i, ends := range [][2]*Link{{a, b}, {b, a}, {a, b}, {b, a}} {
			if late, to = must(ends[0].Control(due, nil)), ends[1]; i == n {
				break
			}
			openAt(t, due, to, late)
		}
		newA, newB := mustRevive(t, c, s)
		secrets := fmt.Sprint(c.ResumeIDs(), s.ResumeIDs())
		if _, _, err := to.Open(due, nil, late); err != ErrClosed {
			t.Errorf("step %d arrives late: %v", n, err)
		}
		for _, old := range []*Link{a, b} {
			old.Saved()
			if frame, err := old.Control(due, nil); frame != nil || err != nil {
				t.Errorf("step %d: an old link goes on: %v", n, err)
			}
			if r := old.rekey; r.step != rekeyDead || r.secret != [secretSize]byte{} || r.answer != nil || r.send != nil || r.recv != nil || r.kem != nil {
				t.Errorf("step %d: an old link keeps secrets", n)
			}
		}
		if fmt.Sprint(c.ResumeIDs(), s.ResumeIDs()) != secrets {
			t.Errorf("step %d: the old link has changed the secrets", n)
		}
		greet(t, newA, newB)
		sayAt(t, due, newA, newB)
	}
}

// A client's hello that a hop has held back since before a rekey is of no use behind it.
func TestHeldBackHelloIsOvertakenByRekey(t *testing.T) {
	c, s := sessions(t)
	x, y := reviverOf(t, c), reviverOf(t, s)
	y.start()
	hello := must(x.receive(must(y.receive(must(x.start())))))
	a, b := mustRevive(t, c, s)
	greet(t, a, b)
	mustRekey(t, due, a, b)
	_, err := y.receive(hello)
	wantReason(t, err, ErrResume, ReasonCipher)
	sayAt(t, due, a, b)
	sayAt(t, due, b, a)
}

// A13: a rekey heals. Somebody takes everything that both ends know, records every frame
// from then on, and opens it all up to the switches and nothing behind them. Nor can he
// resume afterwards.
func TestA13RekeyHeals(t *testing.T) {
	c, s := pair(t)
	spyC, spyS := clone(c), clone(s)
	stolen := *c.session.secret
	var toServer, toClient [][]byte
	record := func(from, to *Link, frame []byte) {
		if frame = bytes.Clone(frame); from == c {
			toServer = append(toServer, frame)
		} else {
			toClient = append(toClient, frame)
		}
		openAt(t, due, to, frame)
	}
	talk := func() {
		record(c, s, must(c.Seal(due, nil, nil, []byte("to the server"))))
		record(s, c, must(s.Seal(due, nil, nil, []byte("to the client"))))
		quiet(c, s)
	}
	talk()
	for _, ends := range [][2]*Link{{c, s}, {s, c}, {c, s}, {s, c}} {
		record(ends[0], ends[1], must(ends[0].Control(due, nil)))
	}
	before := len(toServer)
	for range 3 {
		talk()
	}
	// Records open for the spy as long as they are of the old epoch: the clones are good.
	for name, spied := range map[string]struct {
		direction
		frames [][]byte
	}{"to the server": {spyS.recv, toServer}, "to the client": {spyC.recv, toClient}} {
		spy := spied.direction
		for i, frame := range spied.frames {
			_, reason := spy.open(epoch, nil, frame)
			if want := i < before; (reason == 0) != want {
				t.Fatalf("record %d %s opens for the spy: %v", i, name, reason)
			}
		}
	}
	// Taking part with what he has: his own shares make other keys.
	for _, frame := range toServer[:before] {
		if _, event, err := spyS.Open(due, nil, frame); err != nil {
			t.Fatal(err)
		} else if event == Rekeyed {
			spyS.Saved()
			must(spyS.Control(due, nil))
		}
	}
	if spyS.recv.epoch != epochStep {
		t.Fatal("the spy's server has not switched, and the test is wrong")
	}
	mustRefuse(t, spyS, toServer[before], ReasonCipher)
	if opensWith(spyC.recv, toClient[len(toClient)-1], s.send.number-1) || opensWith(spyS.send, toServer[len(toServer)-1], c.send.number-1) {
		t.Error("the old keys open the new epoch")
	}
	// The old resume secret is gone from both ends.
	thief := &Session{client: true, maxMessage: c.session.maxMessage, peer: c.session.peer, secret: &stolen}
	cErr, sErr := revive(t, reviverOf(t, thief), reviverOf(t, s.session), honest)
	if cErr != nil {
		t.Fatal(cErr)
	}
	wantReason(t, sErr, ErrResume, ReasonCipher)
	talk()
}

// A13: what is left at both ends opens nothing from before the switches either.
func TestA13FinishedEpochIsGone(t *testing.T) {
	c, s := pair(t)
	frames := map[*Link][][]byte{}
	for range 3 {
		for from, to := range map[*Link]*Link{c: s, s: c} {
			frame := must(from.Seal(due, nil, nil, []byte("old")))
			frames[from] = append(frames[from], frame)
			openAt(t, due, to, frame)
		}
	}
	mustRekey(t, due, c, s)
	for from, old := range frames {
		for i, frame := range old {
			for _, left := range []direction{c.send, c.recv, s.send, s.recv} {
				if opensWith(left, frame, uint64(i)) {
					t.Errorf("record %d of %v opens", i, from == c)
				}
			}
		}
	}
	for _, l := range []*Link{c, s} {
		r := l.rekey
		if r.exchange != nil || r.kem != nil || r.answer != nil || r.send != nil || r.recv != nil {
			t.Error("something is left of the exchange")
		}
	}
	sayAt(t, due, c, s)
	// Nor is anything left when the keys are dropped.
	c.DropSend()
	s.DropReceive()
	for _, l := range []*Link{c, s} {
		if l.rekey.secret != [secretSize]byte{} {
			t.Error("the secret of the next rekey is left")
		}
	}
}

// What is derived, computed a second time from the specification. Each of the three
// secrets that go in is needed: without it the keys are others.
func TestRekeyKnownAnswers(t *testing.T) {
	c, s := pair(t)
	secret := bytes.Repeat([]byte{9}, 32)
	id := bytes.Repeat([]byte{7}, 32)
	for _, l := range []*Link{c, s} {
		copy(l.rekey.secret[:], secret)
		copy(l.session.id[:], id)
		copy(l.send.id(), bytes.Repeat([]byte{8}, 32))
		copy(l.recv.id(), bytes.Repeat([]byte{8}, 32))
	}
	outside := rekeyOutsider(c)
	s.session.random = fixed(3, 4)
	tr := newTour(t, c, s)
	fields := func(i int) []byte {
		l := tr.before[i]
		plain, _ := l.recv.open(epoch, nil, tr.frames[i])
		size, _ := fieldsSizeOf(tr.frames[i][0] & typeMask)
		return plain[:size]
	}
	m1, m2 := fields(0), fields(1)

	x25519 := func(b byte) *ecdh.PrivateKey { return must(ecdh.X25519().NewPrivateKey(bytes.Repeat([]byte{b}, 32))) }
	eC, eS := x25519(1), x25519(3)
	kem := must(fixed(1, 2).generateKEM())
	ek := kem.EncapsulationKey()
	outside.e(eC.PublicKey().Bytes())
	if want := append(eC.PublicKey().Bytes(), outside.encrypt(ek.Bytes())...); !bytes.Equal(m1, want) {
		t.Fatal("the request is not what the specification says")
	}
	shared, ct := fixed(3, 4).encapsulateTo(ek)
	outside.e(eS.PublicKey().Bytes())
	outside.mixKey(must(eS.ECDH(eC.PublicKey())))
	if want := append(eS.PublicKey().Bytes(), outside.encrypt(ct)...); !bytes.Equal(m2, want) {
		t.Fatal("the answer is not what the specification says")
	}
	k1, k2 := outside.split()
	info := slices.Concat([]byte("hopseal/1 session rekey kem\x00"), sum(ek.Bytes()), sum(ct))
	k3 := must(hkdf.Key(sha256.New, shared, nil, string(info), 32))
	keys := newSchedule(outside.h, k1, k2, k3)
	for name, got := range map[string][]byte{
		"next secret":    c.rekey.secret[:],
		"resume secret":  c.session.secret.value[:],
		"link id":        c.send.id(),
		"client traffic": first(c.send.chain[:]),
		"server traffic": first(s.send.chain[:]),
	} {
		want := keys.derive(label.Label("hopseal/1 session rekey " + name + "\x00"))
		if name == "client traffic" || name == "server traffic" {
			want = first(expand(want, []byte("hopseal/1 session next generation\x00"), 64)[:32])
		}
		if !bytes.Equal(got, want) {
			t.Errorf("the %s is not what the specification says", name)
		}
	}
	zero := make([]byte, 32)
	for name, other := range map[string]*schedule{
		"without X25519":         newSchedule(outside.h, zero, zero, k3),
		"without ML-KEM":         newSchedule(outside.h, k1, k2, zero),
		"without ML-KEM at all":  newSchedule(outside.h, k1, k2),
		"without its transcript": newSchedule(zero, k1, k2, k3),
	} {
		if bytes.Equal(other.derive(label.RekeyNext), c.rekey.secret[:]) {
			t.Errorf("%s the secret is the same", name)
		}
	}
	if got := fmt.Sprintf("%x", sum(m1, m2)); got != goldenRekey {
		t.Errorf("sha256(m1 ‖ m2) = %s, want %s", got, goldenRekey)
	}
	if got := fmt.Sprintf("%x", keys.secret); got != goldenRekeySecret {
		t.Errorf("hs = %s, want %s", got, goldenRekeySecret)
	}
}

func first(b []byte) []byte { return b[:secretSize] }

// Rekey secret 32 x 09, session id 32 x 07, link id 32 x 08, X25519 shares 32 x 01
// (client) and 32 x 03 (server), ML-KEM seed 64 x 02, encapsulation randomness 32 x 04.
const (
	goldenRekey       = "9a1b4cc846299f9ba12ac045f432e9e2d8b7616b35001ddf13ed67274fe44756"
	goldenRekeySecret = "fe9dfe709ea65085c786b061d629441367a5a00d90a2878ecf5d8bd33caf075e"
)

// FuzzA32Rekey has a hostile peer send a record of a rekey, with any fields, to each end
// in each state.
func FuzzA32Rekey(f *testing.F) {
	c, s := pair(f)
	c.session.random = fixed(1, 2)
	idle := []*Link{clone(c), clone(s)}
	openAt(f, due, s, must(c.Seal(due, nil, nil, nil)))
	quiet(c, s)
	must(c.Control(due, nil))
	states := append(idle, clone(c), clone(s))
	f.Add(uint8(0), byte(typeRekeyRequest), make([]byte, rekeyRequestSize))
	f.Add(uint8(1), byte(typeRekeyRequest), make([]byte, rekeyRequestSize))
	f.Add(uint8(2), byte(typeRekeyAnswer), make([]byte, rekeyAnswerSize))
	f.Add(uint8(3), byte(typeSwitch), []byte{})
	f.Fuzz(func(t *testing.T, state, kind uint8, fields []byte) {
		to := again(states[state%4])
		from := &Link{send: to.recv}
		from.send.aad = bytes.Clone(to.recv.aad)
		kind = typeRekeyWanted + kind%4
		fields = fields[:min(len(fields), MaxHandshakeFrame/2)]
		_, event, err := to.Open(due, nil, sealPlain(from, kind, appendPadded(nil, fields, nil)))
		if err != nil && !errors.Is(err, ErrRecord) || err == nil && event != Asked {
			t.Errorf("type %d: %v, %v", kind, event, err)
		}
	})
}

// A session in which nobody says anything behind a rekey: the client asks right behind its
// switch, so the server drops the old resume secret within the round trip.
func TestOldResumeSecretGoesWithTheRekey(t *testing.T) {
	c, s := pair(t)
	mustRekey(t, due, c, s)
	if n := len(s.session.ResumeIDs()); n != 2 {
		t.Fatalf("behind the switches the server has %d secrets, want both", n)
	}
	carry(t, due, c, s, typeAsk)
	if ids := s.session.ResumeIDs(); len(ids) != 1 || ids[0] != c.session.ResumeIDs()[0] {
		t.Errorf("behind the client's first record the server has %d secrets", len(ids))
	}
	carry(t, due, s, c, typeAck)
	if !c.session.Deadline().IsZero() || !s.session.Deadline().IsZero() {
		t.Error("more is due")
	}
}
