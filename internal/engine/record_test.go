package engine

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/hopseal/hopseal/internal/slowtest"
)

// directions runs f for both: the client's records and the server's.
func directions(t *testing.T, f func(t *testing.T, from, to *Link)) {
	for _, name := range []string{"client to server", "server to client"} {
		t.Run(name, func(t *testing.T) {
			from, to := pair(t)
			if name == "server to client" {
				from, to = to, from
			}
			f(t, from, to)
		})
	}
}

func seal(t testing.TB, s *Link, message string) []byte {
	t.Helper()
	frame, err := s.Seal(epoch, nil, nil, []byte(message))
	if err != nil {
		t.Fatal(err)
	}
	return frame
}

// clone copies an end, so that one state can be attacked many times.
func clone(l *Link) *Link {
	twin := *l
	twin.send.aad, twin.recv.aad = bytes.Clone(l.send.aad), bytes.Clone(l.recv.aad)
	for _, next := range []**epochKeys{&twin.rekey.send, &twin.rekey.recv} {
		if f := *next; f != nil {
			*next = &epochKeys{bytes.Clone(f.chain), f.id}
		}
	}
	s := l.session
	twin.session = &Session{id: s.id, client: s.client, maxMessage: s.maxMessage, link: &twin, out: s.out, in: s.in, secret: s.secret, next: s.next, healed: s.healed}
	twin.session.out.unacked.buf = bytes.Clone(s.out.unacked.buf)
	return &twin
}

// mustRefuse fails unless the frame ends the session, and ends it for good.
func mustRefuse(t *testing.T, to *Link, frame []byte, reason Reason) {
	t.Helper()
	dst, _, err := to.Open(epoch, []byte("x"), frame)
	wantReason(t, err, ErrRecord, reason)
	if string(dst) != "x" {
		t.Errorf("a refused record gave %q", dst)
	}
	if _, _, err := to.Open(epoch, nil, frame); !errors.Is(err, ErrClosed) {
		t.Errorf("after the refusal: %v", err)
	}
}

// A15: every bit of a record is authenticated.
func TestA15EveryBitOfARecordCounts(t *testing.T) {
	directions(t, func(t *testing.T, from, to *Link) {
		frame := seal(t, from, "hello")
		for bit := range 8 * len(frame) {
			bad := bytes.Clone(frame)
			bad[bit/8] ^= 1 << (bit % 8)
			if _, _, err := clone(to).Open(epoch, nil, bad); !errors.Is(err, ErrRecord) || err.Error() != ErrRecord.Error() {
				t.Errorf("bit %d: %v", bit, err)
			}
		}
		for size := range len(frame) {
			if _, _, err := clone(to).Open(epoch, nil, frame[:size]); !errors.Is(err, ErrRecord) {
				t.Errorf("cut to %d: %v", size, err)
			}
		}
		mustRefuse(t, clone(to), append(bytes.Clone(frame), 0), ReasonCipher)
		if got, _, err := to.Open(epoch, nil, frame); err != nil || string(got) != "hello" {
			t.Errorf("the record itself: %q, %v", got, err)
		}
	})
}

// A15: a record counts once, in its place.
func TestA15OrderIsEnforced(t *testing.T) {
	directions(t, func(t *testing.T, from, to *Link) {
		first, second, third := seal(t, from, "1"), seal(t, from, "2"), seal(t, from, "3")
		mustRefuse(t, clone(to), second, ReasonCipher) // reordered, or the first dropped
		if _, _, err := to.Open(epoch, nil, first); err != nil {
			t.Fatal(err)
		}
		mustRefuse(t, clone(to), first, ReasonCipher) // replayed
		mustRefuse(t, clone(to), third, ReasonCipher) // the second dropped
		if _, _, err := to.Open(epoch, nil, second); err != nil {
			t.Fatal(err)
		}
	})
}

// A11: a record that comes back to its sender, from this or another session, or
// arrives in the place of the other direction, does not open.
func TestA11ReflectedRecordFails(t *testing.T) {
	directions(t, func(t *testing.T, from, to *Link) {
		frame := seal(t, from, "hello")
		mustRefuse(t, clone(from), frame, ReasonCipher)
		c, s := pair(t)
		mustRefuse(t, c, frame, ReasonCipher)
		mustRefuse(t, s, frame, ReasonCipher)
	})
}

// Unknown types, epochs that do not exist yet and impossible sizes are refused
// before the key is used.
func TestUnknownRecordsRefused(t *testing.T) {
	from, to := pair(t)
	frame := seal(t, from, "hello")
	for head := range 256 {
		bad := bytes.Clone(frame)
		bad[0] = byte(head)
		reason := ReasonType
		switch head {
		case typeData:
			continue
		case typePart, typePart | lastFlag:
			reason = ReasonSize // pieces are full
		case typeClose, typeAck, typeAsk, typeData | lastFlag, typeClose | lastFlag, typeAck | lastFlag, typeAsk | lastFlag,
			typeUpdate, typeUpdateAnswer, typeUpdate | lastFlag, typeUpdateAnswer | lastFlag,
			typeRekeyWanted, typeRekeyRequest, typeRekeyAnswer, typeSwitch,
			typeRekeyWanted | lastFlag, typeRekeyRequest | lastFlag, typeRekeyAnswer | lastFlag, typeSwitch | lastFlag:
			reason = ReasonCipher
		}
		mustRefuse(t, clone(to), bad, reason)
	}
	for _, size := range []int{0, 1, 17, 80, MaxFrame(DefaultMaxMessage) + 1} {
		mustRefuse(t, clone(to), make([]byte, size), ReasonSize)
	}
}

// sealPlain makes a record with any plaintext, as only a hostile peer would.
func sealPlain(s *Link, kind byte, plain []byte) []byte {
	s.send.next(kind)
	return s.send.aead.Seal([]byte{kind}, s.send.nonce[:], plain, s.send.aad)
}

// A30: an authentic record in another than its one form is refused too.
func TestA30AuthenticRecordHasOneForm(t *testing.T) {
	from, to := pair(t)
	from.session.maxMessage = 1 << 21
	zeros := func(n int) []byte { return make([]byte, n) }
	length := func(n uint32, size int) []byte {
		return append(binary.BigEndian.AppendUint32(nil, n), zeros(size-4)...)
	}
	for name, test := range map[string]struct {
		kind  byte
		plain []byte
	}{
		"length past the end":       {typeData, length(61, 64)},
		"length of many pieces":     {typeData, length(DefaultMaxMessage, 64)},
		"bucket too large":          {typeData, length(1, 128)},
		"bucket too large by much":  {typeData, length(0, 4096)},
		"no bucket":                 {typeData, length(61, 65)},
		"padding not zero":          {typeData, append(length(1, 64)[:63], 1)},
		"close with data":           {typeClose, appendPadded(nil, appendClose(nil, 0, 0), []byte("why"))},
		"close in too large bucket": {typeClose, zeros(128)},
		"close, padding not zero":   {typeClose, append(zeros(63), 1)},
	} {
		t.Run(name, func(t *testing.T) {
			mustRefuse(t, clone(to), sealPlain(clone(from), test.kind, test.plain), ReasonEncoding)
		})
	}
}

func TestMessageSizes(t *testing.T) {
	c, s := pair(t)
	buf := make([]byte, DefaultMaxMessage)
	for i := range buf {
		buf[i] = byte(rand.Uint32())
	}
	sizes := []int{DefaultMaxMessage, DefaultMaxMessage - 1, 1 << 16, 1<<16 - 4}
	for n := range 300 {
		sizes = append(sizes, n)
	}
	for _, n := range sizes {
		frames := sealAll(t, c, buf[:n])
		if size := len(frames[0]); size > MaxFrame(n) || n > MaxHandshakeFrame && size != MaxFrame(n) {
			t.Errorf("%d bytes: a frame of %d, MaxFrame says %d", n, size, MaxFrame(n))
		}
		if got := openAll(t, s, nil, frames); !bytes.Equal(got, buf[:n]) {
			t.Fatalf("%d bytes did not arrive", n)
		}
	}
	// One byte more is refused at once, and costs nothing.
	if _, err := c.Seal(epoch, nil, nil, append(buf, 0)); !errors.Is(err, ErrTooLarge) {
		t.Errorf("a message over the limit: %v", err)
	}
	exchange1(t, c, s, []byte("as if nothing had happened"))
}

// Nothing of a message, nor its equality with another, is visible.
func TestRecordsNeverRepeat(t *testing.T) {
	c, s := pair(t)
	seen := map[string]bool{}
	for range 3000 {
		for _, from := range []*Link{c, s} {
			frame := seal(t, from, "the same words")
			if seen[string(frame[1:])] || bytes.Contains(frame, []byte("same")) {
				t.Fatal("a record repeats, or shows its message")
			}
			seen[string(frame[1:])] = true
		}
	}
}

// A39: messages of one bucket give frames of one length, and so does a close.
func TestA39PaddingBuckets(t *testing.T) {
	lengths := map[int]int{}
	for n := range 5000 {
		lengths[len(must(sealOnly().Seal(epoch, nil, nil, make([]byte, n))))]++
	}
	if small := lengths[recordOverhead+minBucket]; small != minBucket-lengthSize+1 {
		t.Errorf("%d lengths share the smallest frame", small)
	}
	if len(lengths) > 40 {
		t.Errorf("%d lengths of frame for 5,000 of message", len(lengths))
	}
	if frame := must(sealOnly().SealClose(epoch, nil, 7)); len(frame) != recordOverhead+minBucket {
		t.Errorf("a close has %d bytes", len(frame))
	}
	for n := 1; n < 1<<21; n += 1 + n/50 {
		if b := bucket(n); b < n || b > n+max(grain, n*12/100) || bucket(b) != b {
			t.Errorf("bucket(%d) = %d", n, b)
		}
	}
}

// sealOnly returns a session whose records nobody opens.
func sealOnly() *Link {
	return generous(newSession(newSchedule(make([]byte, 32), nil, nil), true, nil, must(configFor(alice).withDefaults()), epoch).link)
}

// generous lifts the bounds of delivery, for tests of what is below it.
func generous(l *Link) *Link {
	l.session.out.credit, l.session.out.window, l.session.in.granted = MaxWindow, MaxWindow, MaxWindow
	return l
}

// A15: the end of a direction is a record like any other.
func TestA15CloseIsAuthenticated(t *testing.T) {
	directions(t, func(t *testing.T, from, to *Link) {
		seal(t, from, "never arrives")
		last := must(from.SealClose(epoch, nil, 513))
		mustRefuse(t, clone(to), last, ReasonCipher) // a close cannot jump over a message
	})
	directions(t, func(t *testing.T, from, to *Link) {
		last := must(from.SealClose(epoch, nil, 513))
		for bit := range 8 * len(last) {
			bad := bytes.Clone(last)
			bad[bit/8] ^= 1 << (bit % 8)
			if _, event, err := clone(to).Open(epoch, nil, bad); !errors.Is(err, ErrRecord) || event == PeerClose {
				t.Errorf("bit %d: %v", bit, err)
			}
		}
		dst, event, err := to.Open(epoch, []byte("x"), last)
		if err != nil || event != PeerClose || to.PeerCode() != 513 || string(dst) != "x" {
			t.Errorf("%q, %v, %v, code %d", dst, event, err, to.PeerCode())
		}
		if _, err := from.Seal(epoch, nil, nil, nil); !errors.Is(err, ErrClosed) {
			t.Errorf("sealing after the close: %v", err)
		}
		if _, _, err := to.Open(epoch, nil, last); !errors.Is(err, ErrClosed) {
			t.Errorf("opening after the close: %v", err)
		}
		// The other direction is still open.
		exchange1(t, to, from, []byte("a last word"))
	})
}

// opensWith reports whether a thief who holds one end's state opens the record of
// that number.
func opensWith(stolen direction, frame []byte, number uint64) bool {
	nonce := binary.BigEndian.AppendUint64(make([]byte, 4), number)
	aad := bytes.Clone(stolen.aad)
	aad[len(aad)-secretSize-1] = frame[0]
	keys := [][]byte{stolen.chain[:]}
	next := stolen
	for range 3 { // and what follows from it
		if _, err := next.aead.Open(nil, nonce, frame[1:], aad); err == nil {
			return true
		}
		next.advance()
		keys = append(keys, next.chain[:])
	}
	for _, key := range keys {
		if _, err := newAEAD(key).Open(nil, nonce, frame[1:], aad); err == nil {
			return true
		}
	}
	return false
}

// A13: after 1,024 records, 16 MiB or 60 s the keys of a direction are gone from
// both ends. Those of the current generation are there, and open its records.
func TestA13FinishedGenerationIsGone(t *testing.T) {
	full := make([]byte, pieceSize-lengthSize)
	for name, test := range map[string]struct {
		message []byte
		records int // in the first generation
		step    time.Duration
	}{
		"by count": {[]byte("hello"), generationRecords, 0},
		"by bytes": {full, generationBytes / pieceSize, 0},
		"by time":  {[]byte("hello"), 4, generationAge / 3},
	} {
		t.Run(name, func(t *testing.T) {
			if slowtest.Mode && test.step == 0 {
				t.Skip("many records; runs natively and without the race detector")
			}
			directions(t, func(t *testing.T, from, to *Link) {
				var frames [][]byte
				now := epoch
				for range test.records + 1 {
					frames = append(frames, must(from.Seal(now, nil, nil, test.message)))
					now = now.Add(test.step)
					if _, _, err := to.Open(epoch, nil, frames[len(frames)-1]); err != nil {
						t.Fatal(err)
					}
				}
				for i, frame := range frames {
					current := i == test.records
					for end, stolen := range map[string]direction{"sender": from.send, "receiver": to.recv} {
						if got := opensWith(stolen, frame, uint64(i)); got != current {
							t.Fatalf("record %d of %d: the %s's state opens it: %v", i, len(frames), end, got)
						}
					}
				}
			})
		})
	}
}

// A13: the two directions move on each by itself.
func TestA13DirectionsMoveOnAlone(t *testing.T) {
	c, s := pair(t)
	back := c.recv.chain
	for i := range 3*generationRecords + 5 {
		exchange1(t, c, s, []byte{byte(i)})
	}
	if c.recv.chain != back || s.send.chain != back {
		t.Error("one direction's records moved the other's keys")
	}
	exchange1(t, s, c, []byte("still in step"))
}

// A sealer marks the end of a generation only where counting would not find it.
func TestGenerationFlag(t *testing.T) {
	s := sealOnly()
	at := func(after time.Duration) byte { return must(s.Seal(epoch.Add(after), nil, nil, nil))[0] }
	if at(0) != typeData || at(59*time.Second) != typeData || at(60*time.Second) != typeData|lastFlag {
		t.Error("the flag does not follow the first record by a minute")
	}
	// The clock of the new generation starts with its first record.
	if at(time.Hour) != typeData || at(time.Hour+59*time.Second) != typeData {
		t.Error("a generation aged before it was used")
	}
}

// mark seals an empty message that says that its generation ends, whether it is due or not.
func mark(l *Link, last bool) []byte {
	l.send.until, l.send.records = epoch.Add(time.Hour), max(l.send.records, 1)
	if last {
		l.send.until = epoch
	}
	return must(l.Seal(epoch, nil, nil, nil))
}

// A receiver takes the end of a generation that is not full four times, and once more for
// each half minute of its link; more often nobody needs to, and each costs it new keys.
func TestGenerationsEndEarlyOnlySoOften(t *testing.T) {
	for _, after := range []time.Duration{0, 29 * time.Second, 30 * time.Second, 5 * time.Minute} {
		from, to := pair(t)
		now := epoch.Add(after)
		for range allowedEarlyEnds + int(after/(30*time.Second)) {
			if _, _, err := to.Open(now, nil, mark(from, true)); err != nil {
				t.Fatalf("after %v: %v (%+v)", after, err, err)
			}
		}
		if _, _, err := to.Open(now, nil, mark(from, false)); err != nil {
			t.Fatalf("after %v a record that ends nothing: %v", after, err)
		}
		mustRefuse(t, to, mark(from, true), ReasonGeneration)
	}
}

// Neither a rekey nor a clock that was put back makes the count begin again, and a machine
// that slept does not count as one whose other end is in a hurry.
func TestEarlyGenerationsAreCountedForTheLink(t *testing.T) {
	began := time.Now()
	h := newDirection(make([]byte, secretSize), make([]byte, secretSize))
	h.linkBegan = began
	ends := func(now time.Time, n int) bool {
		for range n {
			if h.records = 1; !h.withinBounds(now, typeData|lastFlag, minBucket) {
				return false
			}
		}
		return true
	}
	if !ends(began.Add(-time.Hour), allowedEarlyEnds) {
		t.Error("a clock that was put back takes ends away")
	}
	h.startEpoch(&epochKeys{make([]byte, secretSize), make([]byte, secretSize)})
	if ends(began, 1) {
		t.Error("a rekey gives ends")
	}
	if !ends(began.Round(0).Add(5*time.Minute), 9) { // without the monotonic clock
		t.Error("what a link carried while its end slept is refused")
	}
}

// A receiver does not go on under keys that should be gone.
func TestGenerationThatIsFullHasToEnd(t *testing.T) {
	for name, early := range map[string]int{"by bytes": 0, "behind an early end": 1} {
		from, to := pair(t)
		full := make([]byte, pieceSize-lengthSize)
		for range early {
			openAt(t, epoch, to, mark(from, true))
		}
		for range generationBytes/pieceSize - 1 {
			if _, _, err := to.Open(epoch, nil, must(from.Seal(epoch, nil, nil, full))); err != nil {
				t.Fatal(err)
			}
		}
		honest := clone(to)
		from.send.bytes = 0 // it forgets
		mustRefuse(t, to, must(from.Seal(epoch, nil, nil, full)), ReasonGeneration)
		if honest.recv.bytes != generationBytes-pieceSize {
			t.Errorf("%s: the receiver has counted %d bytes", name, honest.recv.bytes)
		}
	}
}

// A36: the counter is not sent, so a sender that jumps only loses its peer, at the
// cost of one refusal.
func TestA36CounterJumpIsCheap(t *testing.T) {
	for _, jump := range []uint64{1, generationRecords, 1 << 40, lastRecord} {
		from, to := pair(t)
		from.send.number += jump
		frame := must(from.Seal(epoch, nil, nil, []byte("hello")))
		var err error
		if cost := allocated(func() { _, _, err = clone(to).Open(epoch, nil, frame) }); cost > 4<<10 {
			t.Errorf("a jump of %d cost %d bytes", jump, cost)
		}
		wantReason(t, err, ErrRecord, ReasonCipher)
	}
}

// A19: a direction that has used its last number stops, at both ends, and no nonce
// comes up twice under one key.
func TestA19NoNonceRepeats(t *testing.T) {
	c, s := pair(t)
	c.send.limit, s.recv.limit = 2*generationRecords+3, 2*generationRecords+3
	used := map[[12]byte]bool{}
	for range 2*generationRecords + 4 {
		exchange1(t, c, s, nil)
		if used[c.send.nonce] || c.send.nonce != s.recv.nonce {
			t.Fatalf("nonce %x repeats, or the ends disagree", c.send.nonce)
		}
		used[c.send.nonce] = true
	}
	if frame, err := c.Seal(epoch, nil, nil, nil); !errors.Is(err, ErrExhausted) || len(frame) != 0 {
		t.Errorf("the record after the last: %d bytes, %v", len(frame), err)
	}
	if _, err := c.SealClose(epoch, nil, 0); !errors.Is(err, ErrClosed) {
		t.Errorf("and after that: %v", err)
	}
	mustRefuse(t, s, seal(t, sealOnly(), "one more"), ReasonCipher)
}

// Dropping ends both directions.
func TestDropForgetsKeys(t *testing.T) {
	c, s := pair(t)
	frame := seal(t, s, "too late")
	c.DropSend()
	c.DropReceive()
	if _, err := c.Seal(epoch, nil, nil, nil); !errors.Is(err, ErrClosed) {
		t.Errorf("seal: %v", err)
	}
	if _, _, err := c.Open(epoch, nil, frame); !errors.Is(err, ErrClosed) {
		t.Errorf("open: %v", err)
	}
	if c.send.aead != nil || c.send.chain != [32]byte{} || c.recv.aead != nil || c.recv.chain != [32]byte{} {
		t.Error("a key is left")
	}
}

// Inputs and the memory around them belong to the caller.
func TestRecordsTouchOnlyTheirOwnMemory(t *testing.T) {
	c, s := pair(t)
	backing := []byte("message|after the message")
	frame, err := c.Seal(epoch, []byte("before|"), nil, backing[:7])
	if err != nil || !bytes.HasPrefix(frame, []byte("before|")) || string(backing) != "message|after the message" {
		t.Errorf("sealing changed its surroundings: %q, %q, %v", frame[:7], backing, err)
	}
	record := append(bytes.Clone(frame[7:]), "after"...)
	n := len(record) - 5
	kept := bytes.Clone(record)
	got, _, err := s.Open(epoch, []byte("before|"), record[:n])
	if err != nil || string(got) != "before|message" || !bytes.Equal(record, kept) {
		t.Errorf("opening changed its surroundings: %q, %v", got, err)
	}
}

// A28: opening N bytes allocates at most a small multiple of N.
func TestA28OpenAllocatesInProportion(t *testing.T) {
	for _, n := range []int{81, 1 << 10, 1 << 20} {
		to := sealOnly()
		frame := make([]byte, n)
		frame[0] = typeData
		if cost := allocated(func() { clone(to).Open(epoch, nil, frame) }); cost > uint64(8*n+4096) {
			t.Errorf("%d bytes of noise cost %d", n, cost)
		}
	}
}

// The hot path allocates nothing but what the caller asks for by its buffer.
func TestRecordsDoNotAllocate(t *testing.T) {
	c, s := pair(t)
	message := make([]byte, 1<<10)
	frame := make([]byte, 0, MaxFrame(len(message)))
	plain := make([]byte, 0, MaxFrame(len(message)))
	// Fewer runs than a generation: an update may allocate, once in 1,024 records.
	if n := testing.AllocsPerRun(500, func() {
		frame, _ = c.Seal(epoch, frame[:0], nil, message)
		plain, _, _ = s.Open(epoch, plain[:0], frame)
	}); n != 0 {
		t.Errorf("%v allocations for a record of 1 KiB", n)
	}
}

// A41: the golden list of what a hop can read. Every frame is the clear parts named
// here and, in whole buckets, what is sealed; one more clear byte fails the test.
func TestA41WhatAHopReads(t *testing.T) {
	type part struct {
		name string
		size int
	}
	identity := bucket(lengthSize + 1 + 3 + len(alice.Public().Bytes()) + 3 + speechSize + 2 + 2 + 64)
	golden := [][]part{
		{{"client's X25519 share", 32}, {"client's ML-KEM-768 key", 1184}, {"tag", 16}},
		{{"ML-KEM-768 ciphertext", 1088}, {"server's X25519 share", 32}, {"tag", 16}, {"sealed", identity}, {"tag", 16}},
		{{"sealed", identity}, {"tag", 16}},
		{{"sealed", 64}, {"tag", 16}},
		{{"type", 1}, {"sealed", 64}, {"tag", 16}},
		{{"type", 1}, {"sealed", 1280}, {"tag", 16}},
		{{"type", 1}, {"sealed", 1152}, {"tag", 16}},
		{{"type", 1}, {"sealed", 64}, {"tag", 16}},
		{{"type", 1}, {"sealed", 64}, {"tag", 16}},
		{{"type and epoch", 1}, {"sealed", 64}, {"tag", 16}},
	}
	var frames [][]byte
	c, s := client(alice), server(newIdentity("anna")) // a name as long as alice's bucket
	mustMeetVia(t, c, s, func(_ int, f []byte) []byte { frames = append(frames, bytes.Clone(f)); return f })
	a, b := c.h.Session().Link(), s.h.Session().Link()
	tr := newTour(t, a, b)
	frames = append(append(frames, seal(t, sealOnly(), "hello")), tr.frames...)
	frames = append(frames, must(a.SealClose(epoch, nil, 1)))
	for i, parts := range golden {
		size := 0
		for _, p := range parts {
			size += p.size
		}
		if len(frames[i]) != size {
			t.Errorf("frame %d has %d bytes, the list %d", i+1, len(frames[i]), size)
		}
	}
	var heads []byte
	for _, frame := range frames[4:] {
		heads = append(heads, frame[0])
	}
	want := []byte{typeData, typeRekeyRequest, typeRekeyAnswer, typeSwitch, typeSwitch, typeClose | epochStep}
	if !bytes.Equal(heads, want) {
		t.Errorf("the clear bytes of records are %x, want %x", heads, want)
	}
}
