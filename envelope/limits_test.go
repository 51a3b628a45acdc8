package envelope

import (
	"bytes"
	"encoding/binary"
	"io"
	"math/bits"
	"runtime"
	"testing"

	"github.com/hopseal/hopseal/internal/slowtest"
)

// The limits of docs/protocol.md that no vector can show, since it would be too large.

// A body holds at most 2^31 - 5 bytes, in a total of 2^31.
func TestLargestBody(t *testing.T) {
	if bits.UintSize < 64 || runtime.GOOS == "js" {
		t.Skip("there is no room for two bodies of this size")
	}
	slowtest.Skip(t)
	most := uint64(maxPadded)
	padded := make([]byte, most+1) // pages of zeros, which take no memory until they are written
	for name, c := range map[string]struct {
		total  uint64
		length uint32
		opens  bool
	}{
		"the largest by Padmé":       {most, maxPlaintext, true},
		"the largest, total chosen":  {most, chosenTotal | maxPlaintext, true},
		"one byte more":              {most, maxPlaintext + 1, false},
		"one byte more, chosen":      {most, chosenTotal | maxPlaintext + 1, false},
		"a total of one byte more":   {most + 1, chosenTotal | maxPlaintext, false},
		"little in a total too much": {most + 1, chosenTotal | 1, false},
	} {
		binary.BigEndian.PutUint32(padded, c.length)
		if _, ok := unpad(padded[:c.total]); ok != c.opens {
			t.Errorf("%s: opens: %v", name, ok)
		}
	}
}

// A stream has at most 2^47 bytes of content.
func TestStreamLimitOfContent(t *testing.T) {
	l := links(t)[0]
	for _, p := range []Padding{{}, NoPadding()} {
		l.Sealer.Padding = p
		w, err := l.Sealer.NewWriter(io.Discard)
		if err != nil {
			t.Fatal(err)
		}
		w.number = maxStream / segmentData
		w.n = int(maxStream % segmentData)
		if _, err := w.Write(nil); err != nil {
			t.Errorf("the largest stream: %v", err)
		}
		if _, err := w.Write([]byte("x")); err != errTooMuch {
			t.Fatalf("a byte more: %v", err) // it would go on with padding for days
		}
		if err := w.Finish(); err != errTooMuch {
			t.Errorf("finished: %v", err)
		}
	}
	full := append(binary.BigEndian.AppendUint32(nil, segmentData), make([]byte, segmentData)...)
	if _, ok := (&layout{content: maxStream - segmentData}).take(full, false); !ok {
		t.Error("2^47 bytes are refused")
	}
	if _, ok := (&layout{content: maxStream - segmentData + 1}).take(full, false); ok {
		t.Error("2^47 bytes and one more are read")
	}
}

// A stream has at most 2^32 segments, and the largest content with its padding fits.
func TestStreamLimitOfSegments(t *testing.T) {
	if padme(plainSize(maxStream)) > maxSegments*segmentPlain {
		t.Error("the padding of the largest stream does not fit")
	}
	l := links(t)[0]
	for number, want := range map[int64]Reason{maxSegments - 1: ReasonBody, maxSegments: ReasonMalformed} {
		r, err := l.Opener.NewReader(bytes.NewReader(sealStream(t, &l.Sealer, content(1))))
		if err != nil {
			t.Fatal(err)
		}
		r.number = number
		if _, err := r.Read(make([]byte, 1)); ReasonOf(err) != want {
			t.Errorf("segment %d: %v, want %v", number, ReasonOf(err), want)
		}
	}
}
