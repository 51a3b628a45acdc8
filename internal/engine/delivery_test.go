package engine

import (
	"errors"
	"math"
	"testing"
	"time"

	"github.com/hopseal/hopseal/internal/slowtest"
)

// blocked sends until the bounds say no, and returns the frames.
func blocked(t testing.TB, l *Link, message []byte) (frames [][]byte) {
	t.Helper()
	for {
		frame, err := l.Seal(epoch, nil, nil, message)
		if errors.Is(err, ErrBlocked) {
			return frames
		}
		if err != nil {
			t.Fatal(err)
		}
		for ; len(frame) > 0; frame = must(l.Next(epoch, nil)) {
			frames = append(frames, frame)
		}
	}
}

// padded returns how much plaintext is in frames, in bytes.
func padded(frames [][]byte) (n int) {
	for _, frame := range frames {
		n += len(frame) - recordOverhead
	}
	return n
}

// mustOpen opens a frame and returns what it was.
func mustOpen(t testing.TB, l *Link, frame []byte) Event {
	t.Helper()
	_, event, err := l.Open(epoch, nil, frame)
	if err != nil {
		t.Fatalf("open: %v (%+v)", err, err)
	}
	return event
}

// pass hands every control record that is due at the time to the other end.
func pass(t testing.TB, now time.Time, from, to *Link) (n int) {
	t.Helper()
	for {
		frame, err := from.Control(now, nil)
		if err != nil {
			t.Fatal(err)
		}
		if frame == nil {
			return n
		}
		mustOpen(t, to, frame)
		n++
	}
}

// ackRecord is an ack as only a hostile peer would make it.
func ackRecord(l *Link, received, credit uint64) []byte {
	a := ack{received, credit, l.session.progress().arrived}
	return sealPlain(l, typeAck, appendPadded(nil, a.append(nil), nil))
}

// A18: acknowledgements are held against what was sent. Whatever cannot be true ends
// the link, and frees nothing.
func TestA18FalseAcknowledgementsAreFatal(t *testing.T) {
	const sent, acked = 10, 4
	prepare := func(t *testing.T) (liar, victim *Link) {
		victim, liar = bounded(t)
		for range sent {
			mustOpen(t, liar, seal(t, victim, "hello"))
		}
		mustOpen(t, victim, ackRecord(liar, acked, 2*initialCredit))
		return liar, victim
	}
	for name, test := range map[string]struct{ received, credit uint64 }{
		"of what was never sent":   {sent + 1, 2 * initialCredit},
		"of the last number":       {math.MaxUint64, 2 * initialCredit},
		"of less than before":      {acked - 1, 2 * initialCredit},
		"of nothing":               {0, 2 * initialCredit},
		"with less credit":         {acked + 1, 2*initialCredit - 1},
		"with no credit":           {acked + 1, 0},
		"with a negative credit":   {acked + 1, math.MaxUint64},
		"with credit without end":  {acked + 1, math.MaxInt64},
		"beyond any window":        {acked + 1, 10*minBucket + MaxWindow + 1},
		"with nothing new":         {acked, 2 * initialCredit},
		"with a crumb of credit":   {acked, 2*initialCredit + 1},
		"with less than one step":  {acked, 2*initialCredit + creditStep - 1},
		"that swaps the two":       {2 * initialCredit, acked + 1},
		"of one more, twice so":    {sent + 2, 3 * initialCredit},
		"lower, with credit added": {acked - 1, 3 * initialCredit},
	} {
		t.Run(name, func(t *testing.T) {
			liar, victim := prepare(t)
			before := victim.session.out
			mustRefuse(t, victim, ackRecord(liar, test.received, test.credit), ReasonAck)
			if after := victim.session.out; after.acked != before.acked || after.credit != before.credit || after.ackedCost != before.ackedCost {
				t.Errorf("the refused ack left %+v", after)
			}
		})
	}
	for name, test := range map[string]struct{ received, credit uint64 }{
		"of everything":          {sent, 2 * initialCredit},
		"of one more":            {acked + 1, 2 * initialCredit},
		"with one step":          {acked, 2*initialCredit + creditStep},
		"with the widest window": {acked + 1, sent*minBucket + MaxWindow},
	} {
		t.Run(name, func(t *testing.T) {
			liar, victim := prepare(t)
			if event := mustOpen(t, victim, ackRecord(liar, test.received, test.credit)); event != Acked || victim.session.Acked() != test.received {
				t.Errorf("event %v, acknowledged %d", event, victim.session.Acked())
			}
		})
	}
}

// An ack may say nothing new once for each time that it was asked for.
func TestAnswersToAsks(t *testing.T) {
	a, b := bounded(t)
	for range 3 {
		seal(t, a, "never arrives")
		a.session.Ask()
		if frame := must(a.Control(epoch, nil)); len(frame) == 0 {
			t.Fatal("the ask was not sent")
		}
	}
	for range 3 {
		mustOpen(t, a, ackRecord(b, 0, initialCredit))
	}
	mustRefuse(t, a, ackRecord(b, 0, initialCredit), ReasonAck)
}

// A34: a flood of asks is answered once.
func TestA34AsksAreAnsweredTogether(t *testing.T) {
	a, b := bounded(t)
	for range 10_000 {
		if event := mustOpen(t, b, sealPlain(a, typeAsk, appendPadded(nil, nil, nil))); event != Asked {
			t.Fatal(event)
		}
		a.send.advanceAfter(typeAsk)
	}
	a.session.out.idleAcks = 1
	if n := pass(t, epoch, b, a); n != 1 {
		t.Errorf("%d answers", n)
	}
}

func TestAskForAnAnswer(t *testing.T) {
	a, b := bounded(t)
	mustOpen(t, b, seal(t, a, "hello"))
	if n := pass(t, epoch, b, a); n != 0 || a.session.Acked() != 0 {
		t.Fatal("acknowledged before its time")
	}
	a.session.Ask()
	a.session.Ask()
	if !a.session.Deadline().Before(epoch) {
		t.Errorf("an ask is due at %v", a.session.Deadline())
	}
	if n := pass(t, epoch, a, b); n != 1 {
		t.Errorf("%d asks", n)
	}
	if n := pass(t, epoch, b, a); n != 1 || a.session.Acked() != a.session.Sent() {
		t.Errorf("%d answers, %d of %d messages have arrived", n, a.session.Acked(), a.session.Sent())
	}
}

// An ack waits for more, for some time.
func TestAcksAreBatched(t *testing.T) {
	a, b := bounded(t)
	if !b.session.Deadline().IsZero() {
		t.Error("something is due in a new session")
	}
	for range 100 {
		mustOpen(t, b, seal(t, a, "hello"))
		b.session.Consumed(epoch, 5)
	}
	if want := epoch.Add(ackDelay); !b.session.Deadline().Equal(want) {
		t.Fatalf("an ack is due at %v, want %v", b.session.Deadline(), want)
	}
	if n := pass(t, epoch.Add(ackDelay-1), b, a); n != 0 {
		t.Errorf("%d acks before their time", n)
	}
	if n := pass(t, epoch.Add(ackDelay), b, a); n != 1 || a.session.Acked() != 100 {
		t.Errorf("%d acks, of %d messages", n, a.session.Acked())
	}
	if !b.session.Deadline().IsZero() {
		t.Error("another ack is due")
	}
}

// A40: the acks of a long conversation are few, and say two numbers.
func TestA40AcksAreFew(t *testing.T) {
	for _, size := range []int{0, 1 << 10, 100_000} {
		a, b := bounded(t)
		message, acks, cost := make([]byte, size), 0, 0
		for range min(5_000, 32*DefaultWindow/(size+1)) {
			openAll(t, b, nil, sealAll(t, a, message))
			b.session.Consumed(epoch, size)
			acks += pass(t, epoch, a, b) + pass(t, epoch, b, a)
			cost += bucket(lengthSize + size)
		}
		if most := 4 + 6*cost/DefaultWindow; acks > most {
			t.Errorf("%d bytes: %d control records, want at most %d", size, acks, most)
		}
	}
}

// A34: what is under way is bounded at both ends, whatever the size of messages,
// and not a byte more is accepted than was granted.
func TestA34WindowBoundsBothEnds(t *testing.T) {
	for _, size := range []int{0, 1 << 10, DefaultMaxMessage} {
		a, b := bounded(t)
		message := make([]byte, size)
		most := initialCredit + bucket(lengthSize+size)
		frames := blocked(t, a, message)
		if under := padded(frames); under < initialCredit || under > most {
			t.Errorf("%d bytes: %d under way before the first ack", size, under)
		}
		for _, frame := range frames {
			mustOpen(t, b, frame)
		}
		// Nothing is consumed: credit grows to the window, once.
		for range 3 {
			pass(t, epoch, a, b)
			pass(t, epoch, b, a)
			for _, frame := range blocked(t, a, message) {
				frames = append(frames, frame)
				mustOpen(t, b, frame)
			}
		}
		most = DefaultWindow + bucket(lengthSize+size)
		if under := padded(frames); under < DefaultWindow || under > most {
			t.Errorf("%d bytes: %d wait for the application", size, under)
		}
		// A sender that goes on all the same loses the link.
		over := sealPlain(a, typeData, appendPadded(nil, nil, nil))
		mustRefuse(t, b, over, ReasonCredit)
	}
}

// A34: a receiver that takes everything and acknowledges nothing makes the sender
// stop, with its memory bounded.
func TestA34UnacknowledgedIsBounded(t *testing.T) {
	a, b := bounded(t)
	a.session.out.credit = MaxWindow
	message := make([]byte, 1<<10)
	frames := blocked(t, a, message)
	if n := len(frames) * bucket(lengthSize+len(message)); n > DefaultWindow+1152 {
		t.Errorf("%d bytes are kept", n)
	}
	if most := 4 * DefaultWindow; cap(a.session.out.unacked.buf) > most {
		t.Errorf("in %d bytes of memory", cap(a.session.out.unacked.buf))
	}
	if a.session.Deadline().IsZero() {
		t.Error("a sender that has to wait does not ask")
	}
	generous(b)
	for _, frame := range frames {
		mustOpen(t, b, frame)
	}
	pass(t, epoch, a, b)
	pass(t, epoch, b, a)
	exchange1(t, a, b, message)
}

// A35: a million messages of one byte leave no trace.
func TestA35SmallMessagesKeepMemoryFlat(t *testing.T) {
	count := 1_000_000
	if slowtest.Mode {
		count = 100_000
	}
	a, b := bounded(t)
	var frame, plain []byte
	for range count {
		var err error
		if frame, err = a.Seal(epoch, frame[:0], nil, []byte{0}); err != nil {
			t.Fatal(err)
		}
		if plain, _, err = b.Open(epoch, plain[:0], frame); err != nil {
			t.Fatal(err)
		}
		b.session.Consumed(epoch, 1)
		pass(t, epoch, b, a)
	}
	if got := b.session.in.received; got != uint64(count) {
		t.Errorf("%d of %d have arrived", got, count)
	}
	if kept := cap(a.session.out.unacked.buf); kept > 1<<20 {
		t.Errorf("%d bytes are left", kept)
	}
}

// Two ends that have both sent all they may, and whose applications then take what
// has come, get on: control records need no credit.
func TestTwoFullSendersGetOn(t *testing.T) {
	a, b := bounded(t)
	message, rounds := make([]byte, 1000), 20
	if slowtest.Mode {
		rounds = 6
	}
	for round := range rounds {
		toB, toA := blocked(t, a, message), blocked(t, b, message)
		if len(toA) == 0 || len(toB) == 0 {
			t.Fatalf("round %d: an end may not send", round)
		}
		for _, frame := range toB {
			mustOpen(t, b, frame)
			b.session.Consumed(epoch, len(message))
		}
		for _, frame := range toA {
			mustOpen(t, a, frame)
			a.session.Consumed(epoch, len(message))
		}
		for range 2 {
			pass(t, epoch, a, b)
			pass(t, epoch, b, a)
		}
	}
}

// A message larger than both windows passes: credit is for beginning.
func TestMessageLargerThanTheWindow(t *testing.T) {
	cfg := configFor(alice)
	cfg.Window, cfg.MaxMessage = MinWindow, 8<<20
	x := clientOf(cfg, alice)
	cfg = configFor(bob)
	cfg.Window, cfg.MaxMessage = MinWindow, 8<<20
	y := serverOf(cfg, bob)
	mustMeet(t, x, y)
	a, b := x.h.Session().Link(), y.h.Session().Link()
	message := make([]byte, 8<<20)
	for range 3 {
		exchange1(t, a, b, message)
		if _, err := a.Seal(epoch, nil, nil, nil); !errors.Is(err, ErrBlocked) {
			t.Fatalf("behind it: %v", err)
		}
		b.session.Consumed(epoch, len(message))
		pass(t, epoch, a, b)
		pass(t, epoch, b, a)
	}
}

// ErrBlocked changes nothing, and is no reason to ask again and again.
func TestBlockedChangesNothing(t *testing.T) {
	a, b := bounded(t)
	frames := blocked(t, a, []byte("hello"))
	before, number := a.session.out.last, a.send.number
	if dst, err := a.Seal(epoch, []byte("x"), nil, []byte("hello")); !errors.Is(err, ErrBlocked) || string(dst) != "x" {
		t.Errorf("%q, %v", dst, err)
	}
	if a.session.out.last != before || a.send.number != number {
		t.Error("a message was counted")
	}
	for range 10 {
		blocked(t, a, nil)
		if frame := must(a.Control(epoch, nil)); frame != nil {
			frames = append(frames, frame)
		}
	}
	if n := a.session.out.idleAcks; n > 1 {
		t.Errorf("asked %d times for what will come by itself", n)
	}
	for _, frame := range frames {
		mustOpen(t, b, frame)
	}
	pass(t, epoch, a, b)
	pass(t, epoch, b, a)
	exchange1(t, a, b, []byte("goes on"))
}

// FuzzA32Acknowledge tells an outbox anything at all.
func FuzzA32Acknowledge(f *testing.F) {
	f.Add(uint8(10), uint16(10), uint64(4), uint64(initialCredit), uint64(640), uint64(10), uint64(2*initialCredit), uint64(640))
	f.Add(uint8(0), uint16(0), uint64(0), uint64(math.MaxUint64), uint64(0), uint64(1), uint64(0), uint64(1))
	f.Add(uint8(4), uint16(7), uint64(0), uint64(initialCredit), uint64(2*pieceSize), uint64(2), uint64(initialCredit), uint64(4*pieceSize))
	f.Fuzz(func(t *testing.T, sent uint8, sealed uint16, received1, credit1, arrived1, received2, credit2, arrived2 uint64) {
		o := outbox{credit: initialCredit, window: DefaultWindow}
		for i := range sent {
			o.append(nil, make([]byte, int(i%32)*int(i%32)*100))
		}
		for range sealed {
			o.next()
		}
		for _, a := range []ack{{received1, credit1, arrived1}, {received2, credit2, arrived2}} {
			before := o
			ok := o.acknowledge(a)
			if ok && (o.acked != a.received || o.credit != a.credit || o.arrived != a.arrived) || !ok && (o.acked != before.acked || o.credit != before.credit || o.arrived != before.arrived) {
				t.Fatalf("%v: %+v became %+v", a, before, o)
			}
			if o.acked > o.cursor || o.ackedCost > o.arrived || o.arrived > o.sealedCost() || o.sealedCost() > o.maxSealed || o.maxSealed > o.cost || o.credit < before.credit {
				t.Fatalf("%v leads to %+v", a, o)
			}
			if o.unacked.empty() != (o.acked == o.last) {
				t.Fatalf("%v leads to %+v", a, o)
			}
		}
	})
}
