package envelope

import (
	"bytes"
	"errors"
	"strings"
	"testing"
)

func TestPaddingChoices(t *testing.T) {
	for _, l := range links(t) {
		length := func(p Padding, n int) int {
			l.Sealer.Padding = p
			sealed := seal(t, &l.Sealer, strings.Repeat("x", n))
			if got, _, err := l.Open(nil, sealed); err != nil || len(got) != n {
				t.Fatalf("%s, %d bytes: %d, %v", l.name, n, len(got), err)
			}
			return len(sealed)
		}
		buckets := Buckets(10, 1000)
		if length(NoPadding(), 8)-length(NoPadding(), 7) != 1 {
			t.Errorf("%s: NoPadding pads", l.name)
		}
		if length(buckets, 0) != length(buckets, 10) || length(buckets, 11) != length(buckets, 1000) || length(buckets, 10) == length(buckets, 11) {
			t.Errorf("%s: contents of one bucket differ in length, or of two do not", l.name)
		}
		if length(buckets, 1000) != length(NoPadding(), 1000) {
			t.Errorf("%s: a full bucket is not full", l.name)
		}
		if length(Padding{}, 0) != length(NoPadding(), 60) {
			t.Errorf("%s: the least is not 64 bytes", l.name)
		}
	}
}

// A39: streams of one bucket have one length.
func TestA39StreamBuckets(t *testing.T) {
	l := links(t)[0]
	length := func(p Padding, n int) int {
		l.Sealer.Padding = p
		return len(sealStream(t, &l.Sealer, content(n)))
	}
	for name, c := range map[string]struct {
		p    Padding
		a, b int
		same bool
	}{
		"padmé, small":          {Padding{}, 0, 60, true},
		"padmé, next":           {Padding{}, 60, 61, false},
		"padmé, large":          {Padding{}, 200_000, 200_400, true},
		"none":                  {NoPadding(), 200_000, 200_001, false},
		"none, segment is full": {NoPadding(), segmentData - 1, segmentData, false},
		"buckets":               {Buckets(100, 300_000), 101, 300_000, true},
		"buckets, next":         {Buckets(100, 300_000), 100, 101, false},
	} {
		if a, b := length(c.p, c.a), length(c.p, c.b); (a == b) != c.same {
			t.Errorf("%s: %d bytes give %d, %d give %d", name, c.a, a, c.b, b)
		}
	}
}

func TestPaddingMisuse(t *testing.T) {
	l := links(t)[0]
	for name, p := range map[string]Padding{
		"no sizes": Buckets(), "zero": Buckets(0), "negative": Buckets(-1), "not ascending": Buckets(10, 10),
		"too large": Buckets(maxStream + 1),
	} {
		l.Sealer.Padding = p
		if _, err := l.Sealer.Seal(nil, []byte("m")); err != errBuckets {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := l.Sealer.NewWriter(new(bytes.Buffer)); err != errBuckets {
			t.Errorf("%s: a stream: %v", name, err)
		}
	}
	l.Sealer.Padding = Buckets(10)
	if _, err := l.Sealer.Seal(nil, make([]byte, 11)); err != errBucket {
		t.Errorf("no bucket: %v", err)
	}
	var b bytes.Buffer
	w, err := l.Sealer.NewWriter(&b)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(make([]byte, 11)); err != errBucket {
		t.Errorf("no bucket for a stream: %v", err)
	}
	if err := w.Finish(); err != errBucket {
		t.Errorf("closed as if nothing was: %v", err)
	}
	if _, err := openStream(&l.Opener, b.Bytes()); !errors.Is(err, ErrOpen) {
		t.Errorf("a stream that failed opens: %v", err)
	}
}

func TestUnpad(t *testing.T) {
	for name, c := range map[string]struct {
		padded string
		ok     bool
	}{
		"chosen, none":         {"\x80\x00\x00\x01x", true},
		"chosen, more":         {"\x80\x00\x00\x01x\x00\x00", true},
		"chosen, empty":        {"\x80\x00\x00\x00", true},
		"chosen, not zero":     {"\x80\x00\x00\x01x\x00\x01", false},
		"chosen, beyond":       {"\x80\x00\x00\x02x", false},
		"chosen, far beyond":   {"\xff\xff\xff\xffx", false},
		"padmé, too short":     {"\x00\x00\x00\x01x", false},
		"padmé, 64":            {"\x00\x00\x00\x01x" + strings.Repeat("\x00", 59), true},
		"padmé, 65":            {"\x00\x00\x00\x01x" + strings.Repeat("\x00", 60), false},
		"no length":            {"\x80\x00\x00", false},
		"nothing":              {"", false},
		"padmé, length beyond": {"\x7f\xff\xff\xff" + strings.Repeat("\x00", 60), false},
	} {
		if _, ok := unpad([]byte(c.padded)); ok != c.ok {
			t.Errorf("%s: %v, want %v", name, ok, c.ok)
		}
	}
}
