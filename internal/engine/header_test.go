package engine

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"
)

func headers() []Header {
	at := time.UnixMilli(1_700_000_000_123)
	return []Header{
		{Time: at},
		{Time: time.UnixMilli(0), Type: "order.create"},
		{Time: time.UnixMilli(1<<48 - 1), Type: strings.Repeat("t", MaxType)},
		{Kind: KindRequest, Time: at, Type: "größe"},
		{Kind: KindAnswer, Time: at, Answers: 1},
		{Kind: KindRefusal, Time: at, Answers: 1<<64 - 1},
		{Kind: KindStreamOpen, Time: at, Type: "file"},
		{Kind: KindStreamPiece, Time: at, Answers: 7},
		{Kind: KindStreamCancel, Time: at, Answers: 8},
		{Kind: KindStreamCredit, Time: at, Answers: 9},
		{Kind: KindStreamDone, Time: at, Answers: 10},
	}
}

func TestHeaderRoundTrip(t *testing.T) {
	for _, h := range headers() {
		if h.Type == "größe" {
			h.Type = "gr\u00f6\u00dfe"
		}
		encoded := h.Append(nil)
		if len(encoded) > MaxHeader {
			t.Errorf("%+v takes %d bytes", h, len(encoded))
		}
		got, size, err := ParseHeader(append(encoded, "body"...), "")
		if err != nil || size != len(encoded) || got != h {
			t.Errorf("%+v came back as %+v, %d of %d bytes, %v", h, got, size, len(encoded), err)
		}
		for n := range encoded {
			if _, _, err := ParseHeader(encoded[:n], h.Type); err == nil {
				t.Errorf("%+v, cut to %d bytes, was taken", h, n)
			}
		}
	}
}

// A30: what no sender writes is not read.
func TestA30HeaderHasOneForm(t *testing.T) {
	good := (&Header{Type: "ab"}).Append(nil)
	for name, change := range map[string]func(b []byte){
		"unknown kind":         func(b []byte) { b[0] = byte(KindStreamDone) + 1 },
		"kind 255":             func(b []byte) { b[0] = 255 },
		"type not UTF-8":       func(b []byte) { b[8] = 0xff },
		"half a character":     func(b []byte) { b[9] = 0xc3 },
		"type beyond the end":  func(b []byte) { b[7] = MaxType },
		"type above the limit": func(b []byte) { b[7] = MaxType + 1 },
		"answer with a type":   func(b []byte) { b[0] = byte(KindAnswer) },
		"refusal with a type":  func(b []byte) { b[0] = byte(KindRefusal) },
	} {
		b := append(bytes.Clone(good), make([]byte, 100)...)
		change(b)
		if name == "type above the limit" {
			b = append(b, make([]byte, 100)...)
		}
		if h, _, err := ParseHeader(b, ""); err == nil {
			t.Errorf("%s: taken as %+v", name, h)
		}
	}
}

func TestHeaderOfAKnownTypeTakesNoMemory(t *testing.T) {
	encoded := (&Header{Type: "order.create"}).Append(nil)
	if n := testing.AllocsPerRun(100, func() { ParseHeader(encoded, "order.create") }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// A32, A28: any bytes are refused, or are what writing the header gives.
func FuzzA32Header(f *testing.F) {
	for _, h := range headers() {
		f.Add(h.Append(nil))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		h, size, err := ParseHeader(b, "known")
		if err == nil && (!bytes.Equal(h.Append(nil), b[:size]) || !ValidType(h.Type)) {
			t.Fatalf("%x became %+v", b, h)
		}
	})
}

// Answers and refusals pass where all credit is used up, and so do requests: two ends
// that wait for each other's answers get them. What is not acknowledged stays bounded.
func TestAnswersNeedNoCredit(t *testing.T) {
	a, b := bounded(t)
	var waiting uint64
	for _, frame := range blocked(t, a, make([]byte, 1000)) {
		mustOpen(t, b, frame)
		waiting += cost(1000)
	}
	for _, kind := range []Kind{KindRequest, KindAnswer, KindRefusal, KindStreamPiece, KindStreamEnd, KindStreamAbort, KindStreamCancel, KindStreamCredit, KindStreamDone} {
		for range 2 * DefaultWindow / 1024 {
			frame, err := a.Seal(epoch, nil, []byte{byte(kind)}, make([]byte, 1000))
			if errors.Is(err, ErrBlocked) { // until what has arrived is acknowledged
				a.session.Ask()
				pass(t, epoch, a, b)
				pass(t, epoch, b, a)
				continue
			}
			if err != nil {
				t.Fatal(err)
			}
			if event := mustOpen(t, b, frame); event != Message || a.Sent() != b.Received() {
				t.Fatalf("event %v, message %d taken for %d", event, a.Sent(), b.Received())
			}
		}
		a.session.Ask()
		pass(t, epoch, a, b)
		pass(t, epoch, b, a)
	}
	a.session.Ask()
	pass(t, epoch, a, b)
	pass(t, epoch, b, a)
	// What nobody has taken still fills the window, and nothing of the rest counts for it.
	for _, frame := range blocked(t, a, make([]byte, 1000)) {
		mustOpen(t, b, frame)
		waiting += cost(1000)
	}
	if waiting < DefaultWindow || waiting > DefaultWindow+cost(1000) {
		t.Errorf("%d bytes wait for the application", waiting)
	}
	mustRefuse(t, b, sealPlain(a, typeData, appendPadded(nil, nil, nil)), ReasonCredit)
}

// Pieces of streams need no credit of the session, and still leave the room for answers
// alone: a large stream does not stand before them.
func TestPiecesLeaveRoomForAnswers(t *testing.T) {
	a, b := bounded(t)
	seal := func(kind Kind) (n int) {
		for {
			frame, err := a.Seal(epoch, nil, []byte{byte(kind)}, make([]byte, 1000))
			if errors.Is(err, ErrBlocked) {
				return n
			}
			if err != nil {
				t.Fatal(err)
			}
			mustOpen(t, b, frame)
			n++
		}
	}
	full := DefaultWindow / int(cost(1001)) // what is kept until it is acknowledged
	for _, kind := range []Kind{KindStreamPiece, KindAnswer} {
		if n := seal(kind); n < full || n > full+1 {
			t.Errorf("%d messages of kind %d were taken, not %d", n, kind, full)
		}
	}
	if n := seal(KindMessage) + seal(KindStreamEnd); n != 0 {
		t.Errorf("%d messages found room where the pieces had filled it", n)
	}
}
