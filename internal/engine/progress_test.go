package engine

import (
	"errors"
	"testing"
	"time"
)

// halfSent returns both ends of a session in which the client has sent a message of 10 bytes
// that has arrived, and two pieces of one of four that has not.
func halfSent(t testing.TB) (c, s *Session) {
	t.Helper()
	c, s = sessions(t)
	exchange1(t, c.Link(), s.Link(), make([]byte, 10))
	must(c.Link().Seal(epoch, nil, nil, mixed(3*pieceSize+100)))
	must(c.Link().Next(epoch, nil))
	return c, s
}

// A18: what an end says to have is held against what was sent, piece by piece: of all that it
// could say, only what an honest end does is believed.
func TestA18EveryProgressIsHeldAgainstWhatWasSent(t *testing.T) {
	c, _ := halfSent(t)
	whole := cost(10)
	believed := 0
	for received := range uint64(5) {
		for arrived := uint64(0); arrived < 5*pieceSize; arrived += 64 {
			p := progress{received, arrived}
			want := p == progress{0, 0} || received == 1 && arrived >= whole && arrived-whole <= 2*pieceSize && (arrived-whole)%smallPieceSize == 0
			if got := c.out.plausible(p); got != want {
				t.Fatalf("%+v: %v, want %v", p, got, want)
			}
			if want {
				believed++
			}
		}
	}
	if want := 2 + 2*pieceSize/smallPieceSize; believed != want {
		t.Errorf("%d are believed, want %d", believed, want)
	}
	for _, arrived := range []uint64{1 << 63, 1<<64 - 1, 1<<64 - smallPieceSize + whole} {
		if c.out.plausible(progress{1, arrived}) || c.out.plausible(progress{0, arrived}) {
			t.Errorf("%d is believed", arrived)
		}
	}
}

// A18: a hello with such a claim ends the session, at either end, and one that can be true
// has the sender go on behind it and nowhere else.
func TestA18FalseProgressInAHello(t *testing.T) {
	for _, liar := range []bool{true, false} { // the client, or not
		for within, want := range map[int]bool{0: true, smallPieceSize: true, pieceSize + smallPieceSize: true, 2 * pieceSize: true,
			64: false, smallPieceSize - 1: false, 2*pieceSize + smallPieceSize: false, 3 * pieceSize: false} {
			c, s := sessions(t)
			from, to := s, c
			if !liar {
				from, to = c, s
			}
			exchange1(t, from.Link(), to.Link(), make([]byte, 10))
			message := mixed(3*pieceSize + 100)
			must(from.Link().Seal(epoch, nil, nil, message))
			must(from.Link().Next(epoch, nil))
			if within > 0 {
				to.in.partial = partial{size: len(message), got: within - lengthSize, left: Cost(len(message)) - within}
			}
			cErr, sErr := revive(t, reviverOf(t, c), reviverOf(t, s), honest)
			victim := sErr
			if !liar {
				victim = cErr
			}
			if !want {
				wantReason(t, victim, ErrResume, ReasonAck)
				continue
			}
			if cErr != nil || sErr != nil {
				t.Fatalf("%d: %v, %v", within, cErr, sErr)
			}
			got := make([]byte, max(0, within-lengthSize))
			copy(got, message)
			greet(t, c.Link(), s.Link())
			event := Part
			for frame := must(from.Link().Next(epoch, nil)); len(frame) > 0; frame = must(from.Link().Next(epoch, nil)) {
				var err error
				if got, event, err = to.Link().Open(epoch, got, frame); err != nil {
					t.Fatal(err)
				}
			}
			if event != Message || string(got) != string(message) {
				t.Errorf("%d: %v with %d bytes", within, event, len(got))
			}
		}
	}
}

// A18: likewise in an ack, which must not say less than the one before on this link.
func TestA18FalseProgressInAnAck(t *testing.T) {
	whole := cost(10)
	for name, test := range map[string]struct {
		acks []ack
		good bool
	}{
		"less than is whole":          {[]ack{{1, initialCredit, whole - 1}}, false},
		"nothing of what is whole":    {[]ack{{1, initialCredit, 0}}, false},
		"whole":                       {[]ack{{1, initialCredit, whole}}, true},
		"pieces":                      {[]ack{{1, initialCredit, whole + pieceSize}}, true},
		"all that was sent":           {[]ack{{1, initialCredit, whole + 2*pieceSize}}, true},
		"pieces, one after the other": {[]ack{{1, initialCredit, whole + pieceSize}, {1, initialCredit, whole + 2*pieceSize}}, true},
		"pieces, of one not taken":    {[]ack{{0, initialCredit, whole + pieceSize}}, true},
		"a byte that was not sent":    {[]ack{{1, initialCredit, whole + 2*pieceSize + 1}}, false},
		"all of it":                   {[]ack{{1, initialCredit, whole + cost(3*pieceSize+100)}}, false},
		"no end":                      {[]ack{{1, initialCredit, 1<<64 - 1}}, false},
		"less than before":            {[]ack{{1, initialCredit, whole + 2*pieceSize}, {1, 2 * initialCredit, whole + pieceSize}}, false},
		"the same again":              {[]ack{{1, initialCredit, whole + pieceSize}, {1, initialCredit, whole + pieceSize}}, false},
		"a crumb more":                {[]ack{{1, initialCredit, whole + pieceSize}, {1, initialCredit, whole + pieceSize + progressStep - 1}}, false},
	} {
		t.Run(name, func(t *testing.T) {
			c, s := halfSent(t)
			for i, a := range test.acks {
				frame := sealPlain(s.Link(), typeAck, appendPadded(nil, a.append(nil), nil))
				s.Link().send.advanceAfter(typeAck)
				if i < len(test.acks)-1 || test.good {
					mustOpen(t, c.Link(), frame)
					continue
				}
				before := c.out
				mustRefuse(t, c.Link(), frame, ReasonAck)
				if c.out.acked != before.acked || c.out.arrived != before.arrived || c.out.ackedCost != before.ackedCost {
					t.Errorf("the refused ack left %+v", c.out)
				}
			}
		})
	}
}

// A long message is acknowledged on its way, once a second or for each piece, whichever is
// rarer. One that comes fast is not, nor is any of few bytes.
func TestAcksOfPieces(t *testing.T) {
	for pause, most := range map[time.Duration]int{time.Millisecond: 0, 100 * time.Millisecond: 2, 10 * time.Second: 16} {
		a, b := bounded(t)
		now, acks := epoch, 0
		var got []byte
		for frame := must(a.Seal(now, nil, nil, mixed(DefaultMaxMessage))); len(frame) > 0; frame = must(a.Next(now, nil)) {
			var err error
			if got, _, err = b.Open(now, got, frame); err != nil {
				t.Fatal(err)
			}
			if a.Unfinished() {
				if pass(t, now, b, a) > 0 {
					t.Errorf("a piece every %v: acknowledged before its time", pause)
				}
				acks += pass(t, now.Add(pause), b, a)
			}
			if now = now.Add(pause); a.session.SendProgress() > 1+b.session.ReceiveProgress() {
				t.Fatal("more is acknowledged than has come")
			}
		}
		if acks > most || acks < most-1 {
			t.Errorf("a piece every %v: %d acks, want %d", pause, acks, most)
		}
		if pass(t, now.Add(ackDelay), b, a) != 1 || a.session.Acked() != 1 || b.session.ReceiveProgress() != a.session.out.arrived {
			t.Errorf("a piece every %v: the whole is not acknowledged", pause)
		}
		if !b.session.Deadline().IsZero() {
			t.Errorf("a piece every %v: another ack is due", pause)
		}
	}
}

// A receiver that is stored acknowledges what has arrived, while its application takes nothing.
func TestAcksOfWhatIsNotTaken(t *testing.T) {
	c, s := storedSessions(t)
	mustOpen(t, s.Link(), post(t, c.Link(), "few bytes"))
	if !s.Deadline().IsZero() {
		t.Errorf("an ack of few bytes is due")
	}
	mustOpen(t, s.Link(), post(t, c.Link(), string(make([]byte, progressStep))))
	if want := epoch.Add(progressDelay); !s.Deadline().Equal(want) {
		t.Fatalf("an ack is due at %v, want %v", s.Deadline(), want)
	}
	if pass(t, epoch.Add(progressDelay), s.Link(), c.Link()) != 1 || c.Acked() != 0 || c.SendProgress() != 2+s.ReceiveProgress() {
		t.Errorf("%d messages are acknowledged, of %d bytes", c.Acked(), s.ReceiveProgress())
	}
	if !s.Deadline().IsZero() {
		t.Error("another ack is due")
	}
}

// A sender hears of its pieces, and so takes a slow link for alive; one of which nothing comes
// back it takes for dead in time, however many of its frames were sent.
func TestKeepAliveOnASlowLink(t *testing.T) {
	a, b := alive(t)
	now := epoch
	var got []byte
	for frame := must(a.Seal(now, nil, nil, mixed(DefaultMaxMessage))); len(frame) > 0; frame = must(a.Next(now, nil)) {
		now = now.Add(DefaultKeepAlive - 2*progressDelay)
		var err error
		if got, _, err = b.Open(now, got, frame); err != nil {
			t.Fatal(err)
		}
		now = now.Add(progressDelay)
		if _, _, err = a.Open(now, nil, must(b.Control(now, nil))); err != nil && a.Unfinished() {
			t.Fatal(err)
		}
		if frame := must(a.Control(now, nil)); len(frame) > 0 && a.Unfinished() {
			t.Fatal("the other end was asked, though pieces arrive")
		}
	}

	a, _ = alive(t)
	must(a.Seal(epoch, nil, nil, mixed(DefaultMaxMessage))) // lost, like all that follows
	must(a.Control(epoch.Add(DefaultKeepAlive), nil))
	for now = epoch.Add(DefaultKeepAlive); len(must(a.Next(now, nil))) > 0; {
		now = now.Add(time.Second)
	}
	if _, err := a.Control(epoch.Add(2*DefaultKeepAlive-1), nil); err != nil {
		t.Errorf("given up early: %v", err)
	}
	if _, err := a.Control(epoch.Add(2*DefaultKeepAlive), nil); !errors.Is(err, ErrSilent) {
		t.Errorf("%v, want silence", err)
	}
}

// The pieces behind a link that has lost some, and brought less than 1 MiB, are small, until a
// link has brought that.
func TestPiecesOfLinksThatDoNotLast(t *testing.T) {
	c, s := sessions(t)
	for _, x := range []*Session{c, s} {
		x.in.window, x.out.window, x.in.granted, x.out.credit = MaxWindow, MaxWindow, MaxWindow, MaxWindow
	}
	largest := func() (size int) {
		a, b := c.Link(), s.Link()
		frames := sealAll(t, a, mixed(DefaultMaxMessage))
		for _, frame := range frames {
			size = max(size, len(frame)-recordOverhead)
		}
		openAll(t, b, nil, frames)
		pass(t, epoch.Add(ackDelay), b, a)
		return size
	}
	again := func(lost int) {
		for i := 0; i < lost; i++ {
			if frame := must(c.Link().Seal(epoch, nil, nil, make([]byte, pieceSize))); len(frame) == 0 {
				t.Fatal("nothing was sent")
			}
		}
		a, b := mustRevive(t, c, s)
		greet(t, a, b)
		for frame := must(a.Next(epoch, nil)); len(frame) > 0; frame = must(a.Next(epoch, nil)) {
			mustOpen(t, b, frame)
		}
	}
	if again(0); largest() != pieceSize {
		t.Error("a link that has lost nothing is followed by small pieces")
	}
	if again(1); largest() != pieceSize {
		t.Error("a link that has brought 1 MiB is followed by small pieces")
	}
	again(1)
	again(1)
	if largest() != smallPieceSize {
		t.Error("two links that have brought nothing are followed by large pieces")
	}
	if largest() != pieceSize {
		t.Error("pieces stay small on a link that has brought 1 MiB")
	}
}
