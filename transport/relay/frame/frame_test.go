package frame

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"reflect"
	"runtime"
	"runtime/metrics"
	"strings"
	"testing"

	"github.com/hopseal/hopseal/internal/strict"
)

var (
	idA = MemberID{0xa0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}
	idB = MemberID{0xb0}
)

func requests() []Request {
	return []Request{
		Join{"room", "ann", []byte("presence")},
		Join{strings.Repeat("r", MaxTopic), strings.Repeat("n", MaxName), make([]byte, MaxPresence)},
		Join{"", "", []byte{}},
		Leave{"room"},
		Publish{"room", []byte("payload")},
		Publish{"räume", make([]byte, 70000)},
		Send{"room", idB, []byte("payload")},
	}
}

func events() []Event {
	return []Event{
		Joined{"room", idA, []Member{}},
		Joined{"room", idA, []Member{{idB, "bob", []byte("b")}, {idA, "", []byte{}}}},
		Refused{"room", NameTaken},
		Refused{"room", 255},
		Entered{"room", Member{idB, "bob", []byte("b")}},
		Left{"room", idB},
		Message{"room", idA, []byte("payload")},
		Direct{"room", idA, []byte("payload")},
	}
}

func TestFramesComeBackAsTheyWere(t *testing.T) {
	for _, f := range requests() {
		if got, err := ParseRequest(f.Append(nil)); err != nil || !reflect.DeepEqual(got, f) {
			t.Errorf("%#v came back as %#v, %v", f, got, err)
		}
	}
	for _, f := range events() {
		if got, err := ParseEvent(f.Append(nil)); err != nil || !reflect.DeepEqual(got, f) {
			t.Errorf("%#v came back as %#v, %v", f, got, err)
		}
	}
}

// TestA41WhatARelayReads lists every byte that a frame adds to what the client gave. To change this
// list, somebody has to argue for the byte.
func TestA41WhatARelayReads(t *testing.T) {
	for _, c := range []struct {
		frame interface{ Append([]byte) []byte }
		want  string
	}{
		// array(4), kind 1, topic, name, presence
		{Join{"room", "ann", []byte{0xee}}, "94 01 a4726f6f6d a3616e6e c401ee"},
		// array(2), kind 2, topic
		{Leave{"room"}, "92 02 a4726f6f6d"},
		// array(3), kind 3, topic, payload
		{Publish{"room", []byte{0xee}}, "93 03 a4726f6f6d c401ee"},
		// array(4), kind 9, topic, to, payload
		{Send{"room", idA, []byte{0xee}}, "94 09 a4726f6f6d c410a00102030405060708090a0b0c0d0e0f c401ee"},
		// array(4), kind 4, topic, own id, members
		{Joined{"room", idA, []Member{{idB, "bob", nil}}},
			"94 04 a4726f6f6d c410a00102030405060708090a0b0c0d0e0f" +
				" 91 93 c410b0000000000000000000000000000000 a3626f62 c400"},
		// array(3), kind 5, topic, code
		{Refused{"room", NameTaken}, "93 05 a4726f6f6d 01"},
		// array(5), kind 6, topic, id, name, presence
		{Entered{"room", Member{idB, "bob", nil}}, "95 06 a4726f6f6d c410b0000000000000000000000000000000 a3626f62 c400"},
		// array(3), kind 7, topic, id
		{Left{"room", idB}, "93 07 a4726f6f6d c410b0000000000000000000000000000000"},
		// array(4), kind 8, topic, id, payload
		{Message{"room", idB, []byte{0xee}}, "94 08 a4726f6f6d c410b0000000000000000000000000000000 c401ee"},
		// array(4), kind 10, topic, id, payload
		{Direct{"room", idB, []byte{0xee}}, "94 0a a4726f6f6d c410b0000000000000000000000000000000 c401ee"},
	} {
		want, err := hex.DecodeString(strings.ReplaceAll(c.want, " ", ""))
		if err != nil {
			t.Fatal(err)
		}
		if got := c.frame.Append(nil); !bytes.Equal(got, want) {
			t.Errorf("%T is %x, want %x", c.frame, got, want)
		}
	}
}

func TestAppendKeepsWhatIsThere(t *testing.T) {
	dst := append(make([]byte, 0, 100), "head"...)
	got := Leave{"room"}.Append(dst)
	if string(got[:4]) != "head" || &got[0] != &dst[0] {
		t.Fatalf("got %q", got)
	}
}

func TestOneDirectionIsNotTheOther(t *testing.T) {
	for _, f := range requests() {
		if _, err := ParseEvent(f.Append(nil)); !errors.Is(err, ErrMalformed) {
			t.Errorf("ParseEvent takes %T: %v", f, err)
		}
	}
	for _, f := range events() {
		if _, err := ParseRequest(f.Append(nil)); !errors.Is(err, ErrMalformed) {
			t.Errorf("ParseRequest takes %T: %v", f, err)
		}
	}
}

func TestA30EveryPrefixAndEveryExtensionFails(t *testing.T) {
	for _, b := range seeds() {
		if len(b) > 1000 {
			continue
		}
		for n := range b {
			if parses(b[:n]) {
				t.Errorf("the first %d bytes of %x are a frame", n, b)
			}
		}
		if parses(append(bytes.Clone(b), 0xc0)) {
			t.Errorf("%x may be followed by a byte", b)
		}
	}
}

func TestMalformedFramesAreRefused(t *testing.T) {
	long := strings.Repeat("x", maxText+1)
	for name, b := range map[string][]byte{
		"empty":                   {},
		"no array":                {0x01},
		"no kind":                 {0x90},
		"kind 0":                  {0x92, 0x00, 0xa1, 'r'},
		"kind 11":                 {0x92, 0x0b, 0xa1, 'r'},
		"send without a member":   {0x93, 0x09, 0xa1, 'r', 0xc4, 0x00},
		"kind 258, leave mod 256": {0x92, 0xcd, 0x01, 0x02, 0xa1, 'r'},
		"A30 kind in two bytes":   {0x92, 0xcc, 0x02, 0xa1, 'r'},
		"A30 topic as bytes":      {0x92, 0x02, 0xc4, 0x01, 'r'},
		"topic not UTF-8":         {0x92, 0x02, 0xa1, 0xff},
		"a value too many":        {0x93, 0x02, 0xa1, 'r', 0xc0},
		"text too long":           Leave{long}.Append(nil),
		"code 0":                  Refused{"r", 0}.Append(nil),
		"code 256":                append(start(nil, 3, kindRefused, "r"), 0xcd, 0x01, 0x00),
		"short id":                strict.AppendBin(start(nil, 3, kindLeft, "r"), make([]byte, 15)),
		"A28 members by the million": append(strict.AppendBin(start(nil, 4, kindJoined, "r"), idA[:]),
			0xdd, 0x00, 0x0f, 0xff, 0xff),
	} {
		if parses(b) {
			t.Errorf("%s: %x is a frame", name, b)
		}
	}
}

func TestCheckNamesTheField(t *testing.T) {
	good := Join{"room", "ann", nil}
	for want, change := range map[Code]func(*Join){
		0:        func(j *Join) { j.Presence = make([]byte, MaxPresence) },
		BadTopic: func(j *Join) { j.Topic = strings.Repeat("é", MaxTopic/2) + "x" },
		BadName:  func(j *Join) { j.Name = "" },
		TooLarge: func(j *Join) { j.Presence = make([]byte, MaxPresence+1) },
	} {
		j := good
		change(&j)
		if got := j.Check(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	for _, j := range []Join{{"", "n", nil}, {"t\xff", "n", nil}, {"t", "n\xff", nil}, {"t", strings.Repeat("n", MaxName+1), nil}} {
		if j.Check() == 0 {
			t.Errorf("%q passes", j)
		}
	}
}

func TestEveryCodeHasAText(t *testing.T) {
	for c := NameTaken; c <= NotThere; c++ {
		if strings.HasPrefix(c.String(), "code ") {
			t.Errorf("code %d has no text", c)
		}
	}
	if got := Code(200).String(); got != "code 200" {
		t.Errorf("got %q", got)
	}
	if got := fmt.Sprint(idA); got != "a00102030405060708090a0b0c0d0e0f" {
		t.Errorf("id shown as %s", got)
	}
}

func seeds() (all [][]byte) {
	for _, f := range requests() {
		all = append(all, f.Append(nil))
	}
	for _, f := range events() {
		all = append(all, f.Append(nil))
	}
	return all
}

func parses(b []byte) bool {
	_, errRequest := ParseRequest(b)
	_, errEvent := ParseEvent(b)
	return errRequest == nil || errEvent == nil
}

// allocated returns how many bytes of heap f takes.
func allocated(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

func TestA28ParsingAllocatesInProportion(t *testing.T) {
	crowd := Joined{"room", idA, make([]Member, 5000)}
	bomb := append(strict.AppendArray(strict.AppendBin(start(nil, 4, kindJoined, "r"), idA[:]), 60000), make([]byte, 60000)...)
	for _, b := range append(seeds(), crowd.Append(nil), bomb) {
		if got, most := allocated(func() { parses(b) }), uint64(8*len(b)+4096); got > most {
			t.Errorf("%d bytes of frame take %d bytes, want at most %d", len(b), got, most)
		}
	}
}

func FuzzA32Frames(f *testing.F) {
	for _, b := range seeds() {
		if len(b) < 1000 { // the fuzzer spends all its time on making long ones short
			f.Add(b)
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if r, err := ParseRequest(b); err == nil && !bytes.Equal(r.Append(nil), b) {
			t.Fatalf("%x becomes %x", b, r.Append(nil))
		}
		if e, err := ParseEvent(b); err == nil && !bytes.Equal(e.Append(nil), b) {
			t.Fatalf("%x becomes %x", b, e.Append(nil))
		}
		// Cheaper than allocated, and blind to small allocations, which do not
		// matter here; the fuzzer's own goroutines allocate too.
		before := heap()
		parses(b)
		if got := heap() - before; got > uint64(8*len(b)+1<<20) {
			t.Fatalf("%d bytes of frame take %d bytes", len(b), got)
		}
	})
}

func heap() uint64 {
	sample := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}
