package engine

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"
)

// large returns both ends of a session that takes messages of most bytes, with
// delivery's bounds lifted.
func large(t testing.TB, most int) (c, s *Link) {
	t.Helper()
	c, s = pair(t)
	c.session.maxMessage, s.session.maxMessage = most, most
	return c, s
}

// mixed returns a message in which no piece is like another.
func mixed(n int) []byte {
	b := make([]byte, n)
	rand.NewChaCha8([32]byte{byte(n)}).Read(b)
	return b
}

// Messages of every size around the edges of pieces arrive, in pieces that are full
// but for the last.
func TestPiecesOfEverySize(t *testing.T) {
	c, s := large(t, 8*pieceSize)
	message := mixed(8 * pieceSize)
	for pieces := range 7 {
		for _, near := range []int{0, grain, 1024, 4096} {
			for n := pieces*pieceSize - near - lengthSize - 2; n <= pieces*pieceSize-near-lengthSize+2; n++ {
				if n < 0 {
					continue
				}
				frames := sealAll(t, c, message[:n])
				for i, frame := range frames {
					kind, last := byte(typePart), i == len(frames)-1
					if last {
						kind = typeData
					}
					if frame[0]&typeMask != kind || !last && len(frame) != pieceSize+recordOverhead || len(frame) > MaxFrame(n) {
						t.Fatalf("%d bytes: frame %d of %d has type %d and %d bytes", n, i+1, len(frames), frame[0], len(frame))
					}
				}
				if padded(frames) != bucket(lengthSize+n) {
					t.Errorf("%d bytes: %d of plaintext, the bucket is %d", n, padded(frames), bucket(lengthSize+n))
				}
				if got := openAll(t, s, []byte("before"), frames); string(got[:6]) != "before" || !bytes.Equal(got[6:], message[:n]) {
					t.Fatalf("%d bytes came as %d others", n, len(got)-6)
				}
			}
		}
	}
}

// A15: pieces are records: none can be changed, dropped, repeated, moved, cut or called
// another, and no message arrives of which one was.
func TestA15PiecesHaveTheirPlace(t *testing.T) {
	directions(t, func(t *testing.T, from, to *Link) {
		frames := sealAll(t, from, mixed(3*pieceSize))
		n := len(frames)
		refused := func(name string, reason Reason, good int, bad []byte) {
			t.Helper()
			end := clone(to)
			dst := []byte("x")
			for _, frame := range frames[:good] {
				var event Event
				var err error
				if dst, event, err = end.Open(epoch, dst, frame); err != nil || event != Part {
					t.Fatalf("%s: piece: %v, %v", name, event, err)
				}
			}
			before := len(dst)
			out, event, err := end.Open(epoch, dst, bad)
			wantReason(t, err, ErrRecord, reason)
			if event != 0 || len(out) != before || end.session.in.received != 0 {
				t.Errorf("%s: event %v, %d bytes of %d", name, event, len(out), before)
			}
		}
		for i, frame := range frames {
			for _, at := range []int{1, len(frame) / 2, len(frame) - 1} {
				bad := bytes.Clone(frame)
				bad[at] ^= 1
				refused(fmt.Sprint("piece ", i, " changed"), ReasonCipher, i, bad)
			}
			bad := bytes.Clone(frame)
			bad[0] ^= typeData ^ typePart
			reason := ReasonSize
			if i == 0 {
				reason = ReasonCipher // what it could be is not known yet
			}
			refused(fmt.Sprint("piece ", i, " called another"), reason, i, bad)
			refused(fmt.Sprint("piece ", i, " cut"), ReasonSize, max(i, 1), frames[max(i, 1)][:len(frames[max(i, 1)])-1])
			bad = bytes.Clone(frame)
			bad[0] ^= lastFlag
			refused(fmt.Sprint("piece ", i, " called the last of its generation"), ReasonCipher, i, bad)
		}
		for i := range n - 2 {
			refused("dropped", ReasonCipher, i, frames[i+1])
			refused("repeated", ReasonCipher, i+1, frames[i])
		}
		refused("the last too early", ReasonSize, 1, frames[n-1])
		refused("one of another message", ReasonSize, 1, seal(t, from, "another"))
		openAll(t, to, nil, frames)
	})
}

// A30: there is one way to cut a message, for authentic peers too.
func TestA30PiecesHaveOneForm(t *testing.T) {
	from, to := large(t, 8*pieceSize)
	announce := func(n uint32, size int) []byte {
		return append(binary.BigEndian.AppendUint32(nil, n), make([]byte, size-lengthSize)...)
	}
	zeros := func(n int) []byte { return make([]byte, n) }
	n := uint32(2 * pieceSize) // of which the plaintext has 135,168 bytes: two pieces and 4,096
	type piece struct {
		kind  byte
		plain []byte
	}
	first, second, third := piece{typePart, announce(n, pieceSize)}, piece{typePart, zeros(pieceSize)}, piece{typeData, zeros(4096)}
	dirty := append(zeros(4095), 1)
	for name, test := range map[string]struct {
		pieces []piece
		reason Reason
	}{
		"a full piece as the last":       {[]piece{{typeData, announce(n, pieceSize)}}, ReasonEncoding},
		"a piece that is not full":       {[]piece{{typePart, announce(n, pieceSize-128)}}, ReasonSize},
		"a piece of a message of one":    {[]piece{{typePart, announce(100, pieceSize)}}, ReasonEncoding},
		"a full message as a piece":      {[]piece{{typePart, announce(pieceSize-lengthSize, pieceSize)}}, ReasonEncoding},
		"a small first piece":            {[]piece{{typeData, announce(n, 4096)}}, ReasonEncoding},
		"a second that is not full":      {[]piece{first, {typePart, zeros(2 * smallPieceSize)}}, ReasonSize},
		"an early end":                   {[]piece{first, third}, ReasonSize},
		"an early end, of the full size": {[]piece{first, {typeData, zeros(pieceSize)}}, ReasonSize},
		"a last one called a piece":      {[]piece{first, second, {typePart, zeros(4096)}}, ReasonSize},
		"a last one too large":           {[]piece{first, second, {typeData, zeros(4224)}}, ReasonSize},
		"a last one too small":           {[]piece{first, second, {typeData, zeros(3968)}}, ReasonSize},
		"pieces without an end":          {[]piece{first, second, {typePart, zeros(pieceSize)}}, ReasonSize},
		"padding that is not zeros":      {[]piece{first, second, {typeData, dirty}}, ReasonEncoding},
		"more than the limit":            {[]piece{{typePart, announce(8*pieceSize+1, pieceSize)}}, ReasonLength},
		"more than any limit":            {[]piece{{typePart, announce(1<<32-1, pieceSize)}}, ReasonLength},
		"a small one above the limit":    {[]piece{{typeData, announce(1<<31, 64)}}, ReasonLength},
	} {
		t.Run(name, func(t *testing.T) {
			from, to := clone(from), clone(to)
			var dst []byte
			for i, p := range test.pieces {
				frame := sealPlain(from, p.kind, p.plain)
				if i == len(test.pieces)-1 {
					mustRefuse(t, to, frame, test.reason)
					break
				}
				var event Event
				if dst, event, _ = to.Open(epoch, dst, frame); event != Part {
					t.Fatalf("piece %d: %v", i, event)
				}
			}
		})
	}
	var dst []byte
	for _, p := range []piece{first, second, third} {
		dst, _, _ = to.Open(epoch, dst, sealPlain(from, p.kind, p.plain))
	}
	if len(dst) != int(n) || to.session.in.received != 1 {
		t.Errorf("the right ones give %d bytes", len(dst))
	}
}

// FuzzA32Pieces cuts a message, changes something, and puts it together: it is refused,
// or it is a message that is cut in just this way.
func FuzzA32Pieces(f *testing.F) {
	f.Add(uint32(0), uint32(0), byte(0), uint8(0), uint8(0))
	f.Add(uint32(pieceSize), uint32(1), byte(1), uint8(0), uint8(1))
	f.Add(uint32(2*pieceSize), uint32(pieceSize), byte(0), uint8(1), uint8(3))
	f.Add(uint32(0), uint32(0), byte(0), uint8(67), uint8(0))
	f.Add(uint32(65429), uint32(1), byte(1), uint8(1), uint8(0))
	f.Fuzz(func(t *testing.T, n, at uint32, change byte, retype, fine uint8) {
		const most = 4 * pieceSize
		plain := appendPadded(nil, nil, make([]byte, n%most))
		plain[at%uint32(len(plain))] ^= change
		var p partial
		var got []byte
		retyped := false // there may be fewer pieces
		for rest, i := plain, uint8(0); len(rest) > 0; i++ {
			piece, kind := cutPiece(rest, pieceSize)
			if i < fine {
				piece, kind = cutPiece(rest, smallPieceSize)
			}
			rest = rest[len(piece):]
			if i+1 == retype {
				kind, retyped = kind^typeData^typePart, true
			}
			if !p.fits(kind, len(piece)) {
				return
			}
			data, reason := p.take(kind, piece, most)
			if reason != 0 {
				return
			}
			got = append(got, data...)
			if p.left < 0 || p.got > p.size || kind == typeData && p.left != 0 {
				t.Fatalf("%+v", p)
			}
		}
		if retyped && p.left > 0 { // the beginning of a longer message, and none yet
			return
		}
		if retyped || p.left > 0 || !bytes.Equal(appendPadded(nil, nil, got), plain) {
			t.Errorf("a second form was accepted: %+v", p)
		}
	})
}

// A28: what a length announces takes no memory; what has arrived takes a few times its
// size, all that was dropped on the way included.
func TestA28AnnouncedLengthTakesNoMemory(t *testing.T) {
	from, to := large(t, MaxMessageLimit)
	plain := binary.BigEndian.AppendUint32(nil, MaxMessageLimit)
	plain = append(plain, make([]byte, pieceSize-lengthSize)...)
	var frames [][]byte
	for range 200 {
		frames = append(frames, sealPlain(from, typePart, plain))
		plain = make([]byte, pieceSize)
	}
	for _, n := range []int{1, 2, 3, 4, 5, 17, 200} {
		var dst []byte
		cost := allocated(func() {
			dst = nil
			end := clone(to)
			for _, frame := range frames[:n] {
				var event Event
				if dst, event, _ = end.Open(epoch, dst, frame); event != Part {
					t.Fatal(event)
				}
			}
		})
		if cap(dst) > 5*n*pieceSize || cost > uint64(8*n*pieceSize) {
			t.Errorf("%d pieces have arrived: room for %d bytes, %d were allocated", n, cap(dst), cost)
		}
	}
}

// Other records may come between pieces, and say what they always do.
func TestControlBetweenPieces(t *testing.T) {
	a, b := bounded(t)
	mustOpen(t, a, seal(t, b, "to be acknowledged"))
	frame := must(a.Seal(epoch, nil, nil, mixed(3*pieceSize)))
	now := epoch.Add(ackDelay)
	var got []byte
	acks := 0
	for len(frame) > 0 {
		var err error
		if got, _, err = b.Open(now, got, frame); err != nil {
			t.Fatal(err)
		}
		acks += pass(t, now, a, b)
		b.session.Ask()
		pass(t, now, b, a)
		frame = must(a.Next(now, nil))
	}
	if acks == 0 || b.session.Acked() != 1 {
		t.Errorf("%d acks between pieces, of %d messages", acks, b.session.Acked())
	}
	if !bytes.Equal(got, mixed(3*pieceSize)) {
		t.Error("the message is another")
	}
	exchange1(t, a, b, []byte("goes on"))
}

// An ask waits for the end of the message, so that its answer covers it, and a
// keep-alive does not.
func TestAsksWithinAMessage(t *testing.T) {
	a, b := alive(t)
	frame := must(a.Seal(epoch, nil, nil, mixed(3*pieceSize)))
	a.session.Ask()
	if frame := must(a.Control(epoch, nil)); frame != nil {
		t.Fatal("asked in the middle of a message")
	}
	if later := a.session.Deadline(); later.Before(epoch) {
		t.Fatalf("nothing can be done, and it is due since %v", later)
	}
	got, _, err := b.Open(epoch, nil, frame)
	late := epoch.Add(DefaultKeepAlive)
	if err != nil || pass(t, late, a, b) != 1 {
		t.Fatalf("no keep-alive between pieces: %v", err)
	}
	for frame = must(a.Next(late, nil)); len(frame) > 0; frame = must(a.Next(late, nil)) {
		if got, _, err = b.Open(late, got, frame); err != nil {
			t.Fatal(err)
		}
	}
	pass(t, late, b, a) // before the ask
	if pass(t, late, a, b) != 1 {
		t.Error("not asked at the end")
	}
	pass(t, late, b, a)
	if a.session.Acked() != 1 {
		t.Error("the answer does not cover the message")
	}
}

// alive is bounded with keep-alives.
func alive(t testing.TB) (c, s *Link) {
	t.Helper()
	c, s = bounded(t)
	c.session.keepAlive, s.session.keepAlive = DefaultKeepAlive, 3*DefaultKeepAlive/2
	return c, s
}

// A close may come in the middle of a message. That never arrives.
func TestCloseBetweenPieces(t *testing.T) {
	a, b := bounded(t)
	got, event, err := b.Open(epoch, nil, must(a.Seal(epoch, nil, nil, mixed(3*pieceSize))))
	if event != Part || err != nil {
		t.Fatal(event, err)
	}
	if _, event, err = b.Open(epoch, got, must(a.SealClose(epoch, nil, 3))); event != PeerClose || err != nil {
		t.Errorf("%v, %v", event, err)
	}
	if _, err := a.Next(epoch, nil); !errors.Is(err, ErrClosed) {
		t.Errorf("a piece behind the close: %v", err)
	}
	if b.session.in.received != 0 {
		t.Error("a message was counted")
	}
}

// A message that has begun may be finished, whatever it costs; where there is no
// credit none may begin, with however small a part of it.
func TestCreditForPieces(t *testing.T) {
	a, b := bounded(t)
	a.session.out.credit, a.session.out.window = MaxWindow, MaxWindow // a liar's
	frames := sealAll(t, a, mixed(DefaultMaxMessage))
	openAll(t, b, nil, frames)
	mustRefuse(t, b, must(a.Seal(epoch, nil, nil, mixed(3*pieceSize))), ReasonCredit)
}

// A new message waits for the end of the one that has begun.
func TestSealBetweenPiecesIsBlocked(t *testing.T) {
	a, _ := bounded(t)
	must(a.Seal(epoch, nil, nil, mixed(3*pieceSize)))
	if !a.Unfinished() {
		t.Fatal("finished with its first piece")
	}
	if _, err := a.Seal(epoch, nil, nil, nil); !errors.Is(err, ErrBlocked) {
		t.Errorf("%v", err)
	}
	for len(must(a.Next(epoch, nil))) > 0 {
	}
	if a.Unfinished() {
		t.Error("unfinished behind its last piece")
	}
}

// A message that is cut behind any of its pieces, and again behind the next one, goes on
// behind them on the next link, and is there once.
func TestCutAtEachPiece(t *testing.T) {
	message := mixed(3 * pieceSize)
	for cut := range 4 {
		for _, closing := range []int{0, 1} { // how often more
			c, s := sessions(t)
			a, b := c.Link(), s.Link()
			exchange1(t, a, b, []byte("before"))
			frames := sealAll(t, a, message)
			var got []byte
			event, opened := Part, 0
			open := func(frame []byte) {
				var err error
				if got, event, err = b.Open(epoch, got, frame); err != nil {
					t.Fatalf("cut %d: %v", cut, err)
				}
				opened += len(frame) - recordOverhead
			}
			for _, frame := range frames[:cut] {
				open(frame)
			}
			for range closing {
				a, b = mustRevive(t, c, s)
				greet(t, a, b)
				if frame := must(a.Next(epoch, nil)); frame != nil {
					open(frame)
				}
			}
			a, b = mustRevive(t, c, s)
			greet(t, a, b)
			for frame := must(a.Next(epoch, nil)); len(frame) > 0; frame = must(a.Next(epoch, nil)) {
				open(frame)
			}
			if event != Message || !bytes.Equal(got, message) {
				t.Fatalf("cut %d: %v with %d bytes of %d", cut, event, len(got), len(message))
			}
			if want := Cost(len(message)); opened != want && cut < len(frames) {
				t.Errorf("cut %d: pieces of %d bytes were opened, want %d", cut, opened, want)
			}
			exchange1(t, a, b, []byte("behind"))
			if got := s.Stats(); got.Received != 3 || got.ReceivedBytes != uint64(len(message)+12) {
				t.Errorf("cut %d: received %+v", cut, got)
			}
			if !bytes.Equal(a.session.out.unacked.at(0)[:4], []byte{0, 0, 0, 6}) && c.Acked() == 0 {
				t.Errorf("cut %d: the queue has lost its order", cut)
			}
		}
	}
}

// Pieces are padded once, together: the sizes on the way say what the size of the
// whole would.
func TestA39PaddingOfPieces(t *testing.T) {
	sizes := map[string]bool{}
	c, _ := large(t, 8*pieceSize)
	for n := 2 * pieceSize; n < 4*pieceSize; n += 509 {
		arrive(c)
		sizes[fmt.Sprint(padded(sealAll(t, c, make([]byte, n))))] = true
	}
	if len(sizes) > 34 {
		t.Errorf("%d different sizes between 128 and 256 KiB", len(sizes))
	}
}

// Pieces take no memory of their own.
func TestPiecesDoNotAllocate(t *testing.T) {
	c, s := pair(t)
	message := mixed(4*pieceSize - lengthSize)
	frame, dst := make([]byte, 0, MaxFrame(len(message))), make([]byte, 0, bucket(len(message)+lengthSize))
	now := epoch
	send := func() {
		arrive(c)
		var err error
		dst = dst[:0]
		for frame, err = c.Seal(now, frame[:0], nil, message); len(frame) > 0 && err == nil; frame, err = c.Next(now, frame[:0]) {
			if dst, _, err = s.Open(now, dst, frame); err != nil {
				t.Fatal(err)
			}
		}
		now = now.Add(time.Microsecond)
	}
	send()
	if n := testing.AllocsPerRun(100, send); n > 0.5 { // a new generation has keys
		t.Errorf("%v allocations for 256 KiB", n)
	}
	if !bytes.Equal(dst, message) {
		t.Error("it came as another")
	}
}
