package envelope

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/hopseal/hopseal/internal/gcm"
	"github.com/hopseal/hopseal/internal/strict"
	"github.com/hopseal/hopseal/keys"
)

// inspected is what a test inspects: an envelope, or what looks like a stream.
type inspected struct {
	name   string
	sealed []byte
	stream bool
}

func (i inspected) inspect() (Inspection, error) {
	if i.stream {
		return InspectStream(bytes.NewReader(i.sealed))
	}
	return Inspect(i.sealed)
}

// streamLike returns what has a stream's form, with noise where ciphertext and
// proofs stand. No key is needed to inspect one.
func streamLike(s Suite, recipients, segments int) []byte {
	h := Header{Suite: s, Party: "party", Time: time.UnixMilli(1_800_000_000_000), ContentType: "text/plain", Context: "context"}
	fields := h.append(nil)
	header := strict.AppendBin(append(strict.AppendArray(nil, 9), fields[1:]...), bytes.Repeat([]byte{0x5a}, 32))
	b := strict.AppendUint(strict.AppendArray(nil, 4), version)
	b = strict.AppendBin(b, header)
	if recipients == 0 {
		b = strict.AppendNil(b)
	} else {
		list := strict.AppendArray(nil, recipients)
		for i := range recipients {
			id := bytes.Repeat([]byte{byte(i >> 8), byte(i)}, idSize/2)
			list = strict.AppendBin(strict.AppendBin(strict.AppendArray(list, 2), id), make([]byte, keys.SealedKeySize))
		}
		b = strict.AppendBin(b, list)
	}
	b = strict.AppendBin(b, bytes.Repeat([]byte{1}, s.proofSize()))
	b = append(b, bytes.Repeat([]byte{2}, segments)...)
	return append(b, bytes.Repeat([]byte{3}, s.proofSize())...)
}

// inspectedOfEachKind returns envelopes and streams of each suite.
func inspectedOfEachKind(t testing.TB) []inspected {
	t.Helper()
	var all []inspected
	for _, l := range links(t) {
		all = append(all, inspected{l.name, seal(t, &l.Sealer, "secret"), false},
			inspected{"stream, " + l.name, sealStream(t, &l.Sealer, content(3*segmentData)), true})
	}
	return append(all,
		inspected{"stream of one segment", streamLike(SuiteSharedSigned, 0, 65552), true},
		inspected{"stream, 20 recipients", streamLike(SuiteRecipients, 20, 20), true})
}

// partNames are the names that the documentation of Part promises.
var partNames = map[string][]string{
	"framing": {"envelope array", "stream array", "version", "header size", "recipients size", "no recipients", "body size", "proof size", "opening proof size"},
	"header": {"header array", "suite", "sender", "seal key id", "proof key id", "message id", "time",
		"content type", "context", "salt"},
	"recipients":    {"recipients array", "recipient key id", "encapsulation", "sealed content key"},
	"body":          {"nonce", "ciphertext", "nonce and ciphertext", "tag"},
	"proof":         {"proof"},
	"opening proof": {"opening proof"},
	"segments":      {"full segments", "last segment"},
	"final proof":   {"final proof"},
}

// checkParts checks that the parts cover every byte once, and that the bytes of
// each are what its name says.
func checkParts(t testing.TB, sealed []byte, in Inspection) {
	t.Helper()
	at, recipient := int64(0), -1
	for _, p := range in.Parts {
		if p.Offset != at || p.Size <= 0 || p.Head < 0 || int64(p.Head) > p.Size || at+p.Size > int64(len(sealed)) {
			t.Fatalf("%+v at %d of %d", p, at, len(sealed))
		}
		if !slices.Contains(partNames[p.Section], p.Name) {
			t.Fatalf("%+v is not documented", p)
		}
		if p.Name == "recipient key id" {
			recipient++
		}
		value := sealed[at:][p.Head:p.Size]
		if want := valueOf(in, p.Name, recipient); want != nil && !bytes.Equal(value, want) {
			t.Fatalf("%s is %x, want %x", p.Name, value, want)
		}
		at += p.Size
	}
	if at != int64(len(sealed)) || recipient+1 != len(in.Recipients) {
		t.Fatalf("the parts end at %d of %d, with %d recipients", at, len(sealed), recipient+1)
	}
}

// valueOf returns the bytes that the field of that name must have, nil where the
// header does not tell.
func valueOf(in Inspection, name string, recipient int) []byte {
	h := in.Header
	signed := h.Suite != SuiteShared
	switch {
	case name == "version":
		return []byte{version}
	case name == "suite":
		return []byte{byte(h.Suite)}
	case name == "sender" && signed:
		return h.Sender[:]
	case name == "sender":
		return []byte(h.Party)
	case name == "seal key id":
		return h.SealKey[:]
	case name == "proof key id" && signed:
		return h.ProofKey[:]
	case name == "proof key id":
		return []byte{}
	case name == "message id":
		return h.ID[:]
	case name == "time":
		return bytes.TrimPrefix(strict.AppendUint(nil, uint64(h.Time.UnixMilli())), []byte{0xcf})
	case name == "content type":
		return append([]byte{}, h.ContentType...)
	case name == "context":
		return append([]byte{}, h.Context...)
	case name == "salt":
		return in.Salt[:]
	case name == "recipient key id":
		return in.Recipients[recipient][:]
	case strings.HasSuffix(name, " array"), strings.HasSuffix(name, " size"), name == "no recipients":
		return []byte{}
	}
	return nil
}

func TestInspect(t *testing.T) {
	for _, i := range inspectedOfEachKind(t) {
		in, err := i.inspect()
		if err != nil {
			t.Fatalf("%s: %v", i.name, err)
		}
		checkParts(t, i.sealed, in)
		if in.Header.Context != "context" || in.Header.ContentType != "text/plain" || (in.Segments > 0) != i.stream {
			t.Errorf("%s: %+v", i.name, in)
		}
	}
}

// The sections of an envelope are what the protocol calls its parts.
func TestSections(t *testing.T) {
	for _, l := range links(t) {
		sealed := seal(t, &l.Sealer, "secret")
		in, err := Inspect(sealed)
		if err != nil {
			t.Fatal(err)
		}
		p, _ := parseParts(sealed)
		got := make(map[string][]byte)
		at := int64(0)
		for _, s := range in.Sections() {
			if s.Offset != at || s.Name != s.Section {
				t.Fatalf("%s: %+v at %d", l.name, s, at)
			}
			got[s.Name] = sealed[s.Offset:][:s.Size]
			at += s.Size
		}
		if at != int64(len(sealed)) || !bytes.Equal(got["header"], p.header) || !bytes.Equal(got["recipients"], p.recipients) ||
			!bytes.Equal(got["body"], p.body) || !bytes.Equal(got["proof"], p.proof) {
			t.Errorf("%s: %+v", l.name, in.Sections())
		}
	}
}

// Whatever stands in a vector, either its parts cover every byte or it is refused
// as everything is. What opens holds as much as its size says.
func TestInspectVectors(t *testing.T) {
	eachVector(t, func(t *testing.T, v vector) {
		if !v.sealedToOpen() {
			return
		}
		in, err := inspected{"", v.Sealed, v.Kind == "stream"}.inspect()
		if err != nil {
			if !errors.Is(err, ErrOpen) || ReasonOf(err) == 0 || in.Parts != nil || v.opens() {
				t.Error(err, ReasonOf(err))
			}
			return
		}
		checkParts(t, v.Sealed, in)
		if !v.opens() {
			return
		}
		chosen := strings.Contains(t.Name(), "bucket") || strings.Contains(t.Name(), "padding") || strings.Contains(t.Name(), "unpadded")
		n, c := int64(len(v.plaintext())), in.Content()
		if n > c.Limit || !chosen && (n < c.Least || n > c.Most) {
			t.Errorf("%d bytes, said to be %+v", n, c)
		}
	})
}

// A41: the golden list of what a hop reads, and how many bytes each is, head
// and value. One more visible field fails this.
func TestA41WhatAHopSees(t *testing.T) {
	header := []string{"header array 1+0", "suite 0+1", "sender 2+32", "seal key id 2+32", "proof key id 2+32", "message id 2+16", "time 1+8", "content type 1+10", "context 1+7"}
	recipient := []string{"recipient key id 3+32", "encapsulation 3+1120", "sealed content key 0+48"}
	start := func(kind string, header ...string) []string {
		return append([]string{kind + " array 1+0", "version 0+1", "header size 2+0"}, header...)
	}
	shared := slices.Concat(header[:2], []string{"sender 1+1", "seal key id 2+32", "proof key id 1+0"}, header[5:])
	segments := []string{"full segments 0+196656", "last segment 0+4112"} // Padmé(3 × 65,536 + 4) = 200,704
	salt := []string{"salt 2+32"}
	all := inspectedOfEachKind(t)
	for name, want := range map[string][]string{
		"shared":        slices.Concat(start("envelope", shared...), []string{"no recipients 1+0", "body size 2+0", "nonce and ciphertext 0+88", "tag 0+16", "proof size 2+0", "proof 0+32"}),
		"shared signed": slices.Concat(start("envelope", header...), []string{"no recipients 1+0", "body size 2+0", "nonce and ciphertext 0+88", "tag 0+16", "proof size 2+0", "proof 0+64"}),
		"recipients": slices.Concat(start("envelope", header...), []string{"recipients size 3+0", "recipients array 1+0"}, recipient, recipient,
			[]string{"body size 2+0", "nonce 0+12", "ciphertext 0+64", "tag 0+16", "proof size 2+0", "proof 0+64"}),
		"stream, shared":        slices.Concat(start("stream", shared...), salt, []string{"no recipients 1+0", "opening proof size 2+0", "opening proof 0+32"}, segments, []string{"final proof 0+32"}),
		"stream, shared signed": slices.Concat(start("stream", header...), salt, []string{"no recipients 1+0", "opening proof size 2+0", "opening proof 0+64"}, segments, []string{"final proof 0+64"}),
		"stream, recipients": slices.Concat(start("stream", header...), salt, []string{"recipients size 3+0", "recipients array 1+0"}, recipient, recipient,
			[]string{"opening proof size 2+0", "opening proof 0+64"}, segments, []string{"final proof 0+64"}),
		"stream of one segment": slices.Concat(start("stream", header...), salt, []string{"no recipients 1+0", "opening proof size 2+0", "opening proof 0+64", "last segment 0+65552", "final proof 0+64"}),
		"stream, 20 recipients": slices.Concat(start("stream", header...), salt, []string{"recipients size 3+0", "recipients array 3+0"}, slices.Repeat(recipient, 20),
			[]string{"opening proof size 2+0", "opening proof 0+64", "last segment 0+20", "final proof 0+64"}),
	} {
		i := all[slices.IndexFunc(all, func(i inspected) bool { return i.name == name })]
		in, err := i.inspect()
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, p := range in.Parts {
			got = append(got, fmt.Sprintf("%s %d+%d", p.Name, p.Head, p.Size-int64(p.Head)))
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: a hop sees\n%q, want\n%q", name, got, want)
		}
	}
}

// What is cut short, longer, or of another kind is refused with one text.
func TestInspectRefuses(t *testing.T) {
	refused := func(i inspected, what string, reasons ...Reason) {
		t.Helper()
		in, err := i.inspect()
		if !errors.Is(err, ErrOpen) || err.Error() != ErrOpen.Error() || !slices.Contains(reasons, ReasonOf(err)) || in.Parts != nil {
			t.Fatalf("%s, %s: %v (%v)", i.name, what, err, ReasonOf(err))
		}
	}
	for _, i := range inspectedOfEachKind(t) {
		in, _ := i.inspect()
		head := len(i.sealed)
		if i.stream { // one that is cut later looks like a shorter one
			first := slices.IndexFunc(in.Parts, func(p Part) bool { return p.Section == "segments" })
			head = int(in.Parts[first].Offset) + lengthSize + gcm.TagSize + in.Header.Suite.proofSize()
		}
		for n := range head {
			if n > 600 && n < head-200 && n%97 != 0 {
				continue
			}
			refused(inspected{i.name, i.sealed[:n], i.stream}, fmt.Sprint("cut to ", n), ReasonMalformed)
		}
		refused(inspected{i.name, i.sealed, !i.stream}, "as the other kind", ReasonMalformed)
		for at, want := range map[int]Reason{0: ReasonMalformed, 1: ReasonVersion, 5: ReasonSuite} {
			changed := bytes.Clone(i.sealed)
			if at == 5 { // the header's size may take another byte
				at += int(in.Parts[2].Size) - 2
			}
			changed[at] ^= 0x0c
			refused(inspected{i.name, changed, i.stream}, fmt.Sprint("byte ", at), want)
		}
		if !i.stream {
			refused(inspected{i.name, append(bytes.Clone(i.sealed), 0), false}, "longer", ReasonMalformed)
		}
	}
	for name, stream := range map[string][]byte{
		"no recipients":             streamLike(SuiteRecipients, 0, 80),
		"recipients where none are": streamLike(SuiteSharedSigned, 1, 80),
		"too many recipients":       streamLike(SuiteRecipients, MaxRecipients+1, 80),
		"no segment":                streamLike(SuiteShared, 0, 0),
		"a last one that is short":  streamLike(SuiteShared, 0, 65552+19),
	} {
		refused(inspected{name, stream, true}, "stream", ReasonMalformed)
	}
	l := links(t)[0]
	short := remake(t, seal(t, &l.Sealer, "m"), nil, func(_ *Header, p *parts) { p.body = p.body[:31] })
	refused(inspected{"short body", short, false}, "31 bytes", ReasonBody)
}

// An error of the reader is the caller's own.
func TestInspectStreamReadError(t *testing.T) {
	mine := errors.New("mine")
	stream := streamLike(SuiteRecipients, 1, 3<<20)
	for _, n := range []int{0, 10, 2 << 20} {
		r := io.MultiReader(bytes.NewReader(stream[:n]), iotest.ErrReader(mine))
		if _, err := InspectStream(r); err != mine {
			t.Errorf("after %d bytes: %v", n, err)
		}
	}
	in, err := InspectStream(iotest.OneByteReader(bytes.NewReader(stream[:4000])))
	if err != nil {
		t.Fatal(err)
	}
	checkParts(t, stream[:4000], in)
}

// A28: a stream of any size takes the same memory.
func TestA28InspectStreamInConstantMemory(t *testing.T) {
	const size = 1 << 31
	head := streamLike(SuiteShared, 0, 0)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	in, err := InspectStream(io.MultiReader(bytes.NewReader(head), io.LimitReader(endless{}, size)))
	runtime.ReadMemStats(&after)
	if err != nil {
		t.Fatal(err)
	}
	if used := after.TotalAlloc - before.TotalAlloc; used > 1<<20 {
		t.Errorf("%d bytes were allocated", used)
	}
	if in.Segments != (size+segmentSize-1)/segmentSize || in.Content().Limit > size || in.Content().Limit < size-size/1000 {
		t.Errorf("%d segments, %+v", in.Segments, in.Content())
	}
}

// endless is read at once, however much it is.
type endless struct{}

func (endless) Read(p []byte) (int, error) { return len(p), nil }

// The sizes are exact: each content that pads to the total, and no other.
func TestContentSize(t *testing.T) {
	type span struct{ least, most int64 }
	check := func(what string, block int64, from, to int64) {
		t.Helper()
		spans := make(map[int64]span)
		for n := from; n < to; n++ {
			total := padme(unpadded(n, block))
			s, seen := spans[total]
			if !seen {
				s.least = n
			}
			s.most = n
			spans[total] = s
		}
		first, last := padme(unpadded(from, block)), padme(unpadded(to-1, block))
		for total, want := range spans {
			got := contentSizeOf(total, block)
			if (total != first || from == 0) && got.Least != want.least || total != last && got.Most != want.most || got.Limit != got.Most {
				t.Fatalf("%s: a total of %d is of %+v, want %+v", what, total, got, want)
			}
		}
		for total := unpadded(from, block); total < unpadded(to, block); total++ {
			s, seen := spans[total]
			got := contentSizeOf(total, block)
			if unpadded(got.Limit, block) > total || unpadded(got.Limit+1, block) <= total || !seen && got != (ContentSize{0, got.Limit, got.Limit}) {
				t.Fatalf("%s: a total of %d is of %+v, %+v", what, total, got, s)
			}
		}
	}
	check("envelope", 1<<62, 0, 20_000)
	check("large envelope", 1<<62, 1<<20-5000, 1<<20+50_000)
	check("short stream", segmentPlain, 0, 1000)
	check("stream", segmentPlain, 65_000, 70_000)
	check("longer stream", segmentPlain, 3*65_532-20_000, 3*65_532+20_000)
	check("large stream", segmentPlain, 1<<30-65_532, 1<<30+65_532)
}

// unpadded is U of section 3.6, and 4 + n where nothing is split.
func unpadded(n, block int64) int64 {
	return block*(n/(block-lengthSize)) + lengthSize + n%(block-lengthSize)
}

// Without the key a body's nonce may be of two sizes; the total tells which.
func TestContentSizeOfBodies(t *testing.T) {
	for n := range int64(5000) {
		total := padme(n + lengthSize)
		for s, nonces := range map[Suite][]int64{SuiteShared: {12, 24}, SuiteSharedSigned: {12, 24}, SuiteRecipients: {12}} {
			for _, nonce := range nonces {
				body := nonce + total + gcm.TagSize
				got := bodyContent(s, body)
				if n < got.Least || n > got.Most || got.Most > got.Limit || got.Limit != body-12-gcm.TagSize-lengthSize || got.Most-got.Least > 60+n/8 {
					t.Fatalf("%v: a body of %d bytes is of %+v, and %d stand in it", s, body, got, n)
				}
			}
		}
	}
	for _, n := range []int64{0, 1, 59, 61, 1000} { // not padded
		if got := bodyContent(SuiteRecipients, 12+4+n+16); got.Limit != n || got.Most != n || got.Least != 0 {
			t.Errorf("%d bytes: %+v", n, got)
		}
	}
}

// A28, A32: nothing panics, memory is bounded by the input, and what is taken
// apart is covered by its parts.
func FuzzInspect(f *testing.F) {
	for _, i := range inspectedOfEachKind(f) {
		if len(i.sealed) < 10_000 {
			f.Add(i.sealed, i.stream)
		}
	}
	short, _ := hex.DecodeString("9501c6ffffffff")
	f.Add(short, false)
	f.Add(streamLike(SuiteRecipients, 3, 65552+20), true)
	f.Fuzz(func(t *testing.T, b []byte, stream bool) {
		i := inspected{"", b, stream}
		var in Inspection
		var err error
		if used := allocated(func() { in, err = i.inspect() }); used > 8*uint64(len(b))+16<<10 {
			t.Fatalf("inspecting %d bytes took %d", len(b), used)
		}
		if err != nil {
			if !errors.Is(err, ErrOpen) || ReasonOf(err) == 0 {
				t.Fatal(err)
			}
			return
		}
		checkParts(t, b, in)
		if c := in.Content(); c.Least < 0 || c.Least > c.Most || c.Most > c.Limit || c.Limit > int64(len(b)) {
			t.Fatalf("%d bytes are said to hold %+v", len(b), c)
		}
	})
}

// allocated returns how many bytes f allocates: the least of some runs, since
// others may allocate beside it.
func allocated(f func()) uint64 {
	least := ^uint64(0)
	for range 3 {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		f()
		runtime.ReadMemStats(&after)
		least = min(least, after.TotalAlloc-before.TotalAlloc)
	}
	return least
}
