package envelope

import (
	"bytes"
	"encoding/binary"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hopseal/hopseal/internal/strict"
	"github.com/hopseal/hopseal/keys"
)

// Each limit, from both sides.

func TestMaxSizeToTheByte(t *testing.T) {
	for _, k := range kits(t) {
		for name, c := range map[string]struct {
			size int
			try  func(most int64) error
		}{
			"Open": {len(k.envelope()), func(most int64) error {
				o := k.opener()
				o.MaxSize = most
				return second3(o.Open(nil, k.envelope()))
			}},
			"NewReader": {len(k.stream()), func(most int64) error {
				o := k.opener()
				o.MaxSize = most
				return second(openStream(o, k.stream()))
			}},
			"NewReaderAt": {len(k.stream()), func(most int64) error {
				o := k.opener()
				o.MaxSize = most
				return second(o.NewReaderAt(bytes.NewReader(k.stream()), int64(len(k.stream()))))
			}},
			"Verify": {len(k.envelope()), func(most int64) error {
				v := k.gateway()
				v.MaxSize = most
				return second(v.Verify(k.envelope()))
			}},
			"VerifyStream": {len(k.stream()), func(most int64) error {
				v := k.gateway()
				v.MaxSize = most
				return second(v.VerifyStream(bytes.NewReader(k.stream())))
			}},
		} {
			if strings.HasPrefix(name, "Verify") && k.suite == SuiteShared {
				continue
			}
			for most, want := range map[int]Reason{
				0: 0, 1: ReasonSize, c.size - 1: ReasonSize, c.size: 0, c.size + 1: 0,
			} {
				if err := c.try(int64(most)); ReasonOf(err) != want || (err == nil) != (want == 0) {
					t.Errorf("%s, %s of %d bytes with at most %d: %v (%v)", k.name, name, c.size, most, err, ReasonOf(err))
				}
			}
		}
	}
}

func second3[A, B any](_ A, _ B, err error) error { return err }

// The sizes of a header's texts and times, as a reader sees them.
func TestHeaderLimits(t *testing.T) {
	for _, k := range kits(t) {
		for name, c := range map[string]struct {
			change func(h *Header)
			ok     bool
		}{
			"content type":      {func(h *Header) { h.ContentType = strings.Repeat("x", MaxContentTypeSize) }, true},
			"long content type": {func(h *Header) { h.ContentType = strings.Repeat("x", MaxContentTypeSize+1) }, false},
			"context":           {func(h *Header) { h.Context = strings.Repeat("x", MaxContextSize) }, true},
			"long context":      {func(h *Header) { h.Context = strings.Repeat("x", MaxContextSize+1) }, false},
			"not UTF-8":         {func(h *Header) { h.ContentType = "\xff" }, false},
			"context not UTF-8": {func(h *Header) { h.Context = "\xc0\x80" }, false},
			"last time":         {func(h *Header) { h.Time = time.UnixMilli(maxTime - 1) }, true},
			"beyond":            {func(h *Header) { h.Time = time.UnixMilli(maxTime) }, false},
			"first time":        {func(h *Header) { h.Time = time.UnixMilli(0) }, true},
			"party":             {func(h *Header) { h.Party = strings.Repeat("x", MaxPartySize) }, true},
			"long party":        {func(h *Header) { h.Party = strings.Repeat("x", MaxPartySize+1) }, k.suite != SuiteShared},
			"no party":          {func(h *Header) { h.Party = "" }, k.suite != SuiteShared},
		} {
			crafted := k.rehead(c.change)
			_, err := parseHeader(crafted.sealed.header, "", "")
			_, _, streamErr := parseStreamHeader(crafted.head.header, "", "")
			if (err == nil) != c.ok || (streamErr == nil) != c.ok {
				t.Errorf("%s, %s: %v, stream %v", k.name, name, ReasonOf(err), ReasonOf(streamErr))
			}
		}
	}
}

// 1 to 1,000 recipients, in strictly ascending order, for who reads and who writes.
func TestRecipientLimits(t *testing.T) {
	list := func(n int) []byte {
		b := strict.AppendArray(nil, n)
		for i := range n {
			id := make([]byte, idSize)
			binary.BigEndian.PutUint32(id, uint32(i))
			b = strict.AppendBin(strict.AppendBin(strict.AppendArray(b, 2), id), make([]byte, keys.SealedKeySize))
		}
		return b
	}
	for n, ok := range map[int]bool{0: false, 1: true, 2: true, MaxRecipients: true, MaxRecipients + 1: false} {
		seen := 0
		if got := eachRecipient(list(n), func(keys.SealingKeyID, []byte) { seen++ }); got != ok || ok && seen != n {
			t.Errorf("%d recipients: %v, %d seen", n, got, seen)
		}
		l := links(t)[2]
		if l.To = slices.Repeat(l.To[:1], n); n > 0 {
			if err := l.check(time.Now()); (err == nil) != ok {
				t.Errorf("a Sealer with %d recipients: %v", n, err)
			}
		}
	}
}

// The window of a guard, to the millisecond; and its floor, which is exclusive.
func TestReplayWindowToTheMillisecond(t *testing.T) {
	now := time.UnixMilli(1_800_000_000_000)
	for offset, ok := range map[time.Duration]bool{
		-replayWindow: true, replayWindow: true, 0: true,
		-replayWindow - time.Millisecond: false, replayWindow + time.Millisecond: false,
	} {
		if err := anyTime().accept(Header{ID: newMessageID(), Time: now.Add(offset)}, now); (err == nil) != ok {
			t.Errorf("%v from now: %v", offset, ReasonOf(err))
		}
	}
	g := newReplayGuard(now.Add(replayWindow)) // what is dated up to five minutes after it may have been opened
	later := now.Add(replayWindow)
	for offset, ok := range map[time.Duration]bool{0: false, -time.Millisecond: false, time.Millisecond: true} {
		if err := g.accept(Header{ID: newMessageID(), Time: later.Add(offset)}, later); (err == nil) != ok {
			t.Errorf("%v from the floor: %v", offset, ReasonOf(err))
		}
	}
}

// A sender's share is exact, and what makes room in it is never accepted again,
// also after a restart.
func TestReplayShareToTheMessage(t *testing.T) {
	now := time.Now().Truncate(time.Millisecond)
	g := anyTime()
	at := func(i int) Header {
		return Header{ID: newMessageID(), Time: now.Add(time.Duration(i) * time.Millisecond)}
	}
	var sent []Header
	for i := range replayPerSender {
		sent = append(sent, at(i))
		if err := g.accept(sent[i], now); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(g.senders[sender{}].ids); n != replayPerSender {
		t.Errorf("remembers %d ids", n)
	}
	if err := g.accept(at(replayPerSender), now); err != nil {
		t.Error("one more, newer than all:", ReasonOf(err))
	}
	if n := len(g.senders[sender{}].ids); n > replayPerSender/2+1 || n < replayPerSender/2-1 {
		t.Errorf("remembers %d ids after it made room", n)
	}
	for name, guard := range map[string]*ReplayGuard{"the guard": g, "its copy": made(ParseReplayGuard(g.Bytes()))} {
		for i, h := range sent {
			if guard.accept(h, now) == nil {
				t.Fatalf("%s accepts message %d twice", name, i)
			}
		}
	}
}

// A recipient's key is sealed to while it is in use by its owner's list, whose clock
// may be ahead, and not once the statement has expired.
func TestSealableWindow(t *testing.T) {
	from, to := castAlice.issued.Add(time.Hour), castAlice.issued.Add(2*time.Hour)
	p := made(keys.ParsePublic(key(1, func(k *listedKey) { k.from, k.to = unix(from), unix(to) })(castAlice.statement())))
	for at, want := range map[time.Time]bool{
		from.Add(-keys.ClockSkew - time.Second): false, from.Add(-keys.ClockSkew): true, from: true,
		to.Add(-time.Second): true, to: false, to.Add(keys.ClockSkew): false,
	} {
		if got := sealable(0, p, at) == nil; got != want {
			t.Errorf("%v after it came into use: not %v", at.Sub(from), want)
		}
	}
	open := made(keys.ParsePublic(castAlice.statement().sign()))
	if sealable(0, open, open.Expires()) == nil || sealable(0, open, open.Expires().Add(-time.Second)) != nil {
		t.Error("the end of a statement is not where it is")
	}
	if begin := open.Issued().Add(-keys.ClockSkew); sealable(0, open, begin) != nil || sealable(0, open, begin.Add(-time.Second)) == nil {
		t.Error("the beginning of a statement is not where it is")
	}
}
