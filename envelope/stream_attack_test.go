package envelope

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"runtime"
	"slices"
	"testing"

	"github.com/hopseal/hopseal/internal/label"
	"github.com/hopseal/hopseal/internal/slowtest"
)

// refusedStream checks that a stream does not open, in any way to read it, and that
// whatever is released before is the beginning of the genuine content.
func refusedStream(t *testing.T, o *Opener, sealed, genuine []byte, what ...any) {
	t.Helper()
	got, err := openStream(o, sealed)
	if !errors.Is(err, ErrOpen) || err.Error() != ErrOpen.Error() || ReasonOf(err) == 0 {
		t.Errorf("%v: %v", what, err)
	}
	if !bytes.HasPrefix(genuine, got) || len(got)%segmentData != 0 {
		t.Errorf("%v: %d bytes were released that are not whole segments of the content", what, len(got))
	}
	if _, err := o.NewReaderAt(bytes.NewReader(sealed), int64(len(sealed))); !errors.Is(err, ErrOpen) {
		t.Errorf("%v: by NewReaderAt: %v", what, err)
	}
}

// cut is a stream taken apart by a hop.
type cut struct {
	head     []byte
	segments [][]byte
	proof    []byte
}

func cutStream(t testing.TB, sealed []byte) (c cut) {
	t.Helper()
	s, err := readStream(bytes.NewReader(sealed), "", "", 0)
	if err != nil {
		t.Fatal(err)
	}
	c.head = sealed[:s.headSize]
	for last := false; !last; {
		var segment []byte
		if segment, last, err = s.next(); err != nil {
			t.Fatal(err)
		}
		c.segments = append(c.segments, bytes.Clone(segment))
	}
	c.proof = bytes.Clone(s.proof)
	return c
}

func (c cut) join() []byte {
	return slices.Concat(c.head, slices.Concat(c.segments...), c.proof)
}

// A10, A15: every bit, every prefix, every extension.
func TestA10StreamEveryBitEveryPrefixEveryExtension(t *testing.T) {
	for _, l := range links(t) {
		genuine := content(10)
		sealed := sealStream(t, &l.Sealer, genuine)
		bits, step := 8, 1
		if l.name == "recipients" {
			bits = 1
		}
		if slowtest.Mode {
			bits, step = 1, 3
		}
		for i := 0; i < len(sealed); i += step {
			for bit := range bits {
				sealed[i] ^= 1 << bit
				refusedStream(t, &l.Opener, sealed, nil, l.name, "bit", bit, "of byte", i)
				sealed[i] ^= 1 << bit
			}
			refusedStream(t, &l.Opener, sealed[:i], nil, l.name, "prefix of", i)
		}
		for extra := range 256 {
			refusedStream(t, &l.Opener, append(bytes.Clone(sealed), byte(extra)), nil, l.name, "extension", extra)
		}
	}
}

// A15: what a hop can do to segments, ends and proofs.
func TestA15StreamReorderDropRepeatSplice(t *testing.T) {
	for _, l := range links(t) {
		genuine := content(3*segmentData + 100)
		c := cutStream(t, sealStream(t, &l.Sealer, genuine))
		other := cutStream(t, sealStream(t, &l.Sealer, genuine))
		short := cutStream(t, sealStream(t, &l.Sealer, genuine[:100]))
		last := len(c.segments) - 1
		with := func(change func(*cut)) []byte {
			bad := cut{bytes.Clone(c.head), slices.Clone(c.segments), bytes.Clone(c.proof)}
			change(&bad)
			return bad.join()
		}
		for name, change := range map[string]func(*cut){
			"swapped":                  func(b *cut) { b.segments[0], b.segments[1] = b.segments[1], b.segments[0] },
			"first dropped":            func(b *cut) { b.segments = b.segments[1:] },
			"one in between dropped":   func(b *cut) { b.segments = slices.Delete(b.segments, 1, 2) },
			"last dropped":             func(b *cut) { b.segments = b.segments[:last] },
			"all dropped":              func(b *cut) { b.segments = nil },
			"repeated":                 func(b *cut) { b.segments = slices.Insert(b.segments, 1, b.segments[1]) },
			"last repeated":            func(b *cut) { b.segments = append(b.segments, b.segments[last]) },
			"a segment of another":     func(b *cut) { b.segments[1] = other.segments[1] },
			"the last of another":      func(b *cut) { b.segments[last] = other.segments[last] },
			"the last of a short one":  func(b *cut) { b.segments = [][]byte{short.segments[0]} },
			"all segments of another":  func(b *cut) { b.segments = other.segments },
			"proof of another":         func(b *cut) { b.proof = other.proof },
			"segments, proof of other": func(b *cut) { b.segments, b.proof = other.segments, other.proof },
			"head of another":          func(b *cut) { b.head = other.head },
			"no proof":                 func(b *cut) { b.proof = nil },
			"zero proof":               func(b *cut) { clear(b.proof) },
			"two streams":              func(b *cut) { b.proof = append(b.proof, other.join()...) },
			"cut at a segment":         func(b *cut) { b.segments, b.proof = b.segments[:2], nil },
		} {
			refusedStream(t, &l.Opener, with(change), genuine, l.name, name)
		}
	}
}

// A10: another recipient has the stream's key and can make segments. What it made
// is read, and at the end it is clear that it is not the sender's.
func TestA10StreamByAnotherKeyHolder(t *testing.T) {
	l := links(t)[2]
	sealed := sealStream(t, &l.Sealer, content(2*segmentData))
	c := cutStream(t, sealed)
	s, err := readStream(bytes.NewReader(sealed), "", "", 0)
	if err != nil {
		t.Fatal(err)
	}
	key, err := l.Opener.streamKey(s)
	if err != nil {
		t.Fatal(err)
	}
	forger := newSegmentCipher(key)
	plain := append(binary.BigEndian.AppendUint32(nil, segmentData), bytes.Repeat([]byte("forged"), segmentData)[:segmentData]...)
	c.segments[0] = forger.Seal(nil, forger.nonceOf(0, false), plain, nil)
	r, err := l.Opener.NewReader(bytes.NewReader(c.join()))
	if err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(r)
	if ReasonOf(err) != ReasonProof || r.Verified() {
		t.Errorf("%v (%v), verified: %v", err, ReasonOf(err), r.Verified())
	}
	if !bytes.HasPrefix(got, []byte("forged")) {
		t.Error("the test does not show what it says: nothing forged was released")
	}
	if _, err := l.Opener.NewReaderAt(bytes.NewReader(c.join()), int64(len(c.join()))); ReasonOf(err) != ReasonProof {
		t.Errorf("by NewReaderAt: %v", err)
	}
}

// A30: there is one way to lay content and padding out. The sender itself is
// dishonest here: it makes other ones and proves them.
func TestA30StreamLayout(t *testing.T) {
	full := func(w *Writer) { w.seal(segmentData, segmentPlain, false) }
	for name, c := range map[string]struct {
		make func(*Writer)
		ok   bool
	}{
		"as it must be":                 {func(w *Writer) { full(w); w.seal(1, 2048, true) }, true},
		"total chosen":                  {func(w *Writer) { full(w); w.seal(1|chosenTotal, 5, true) }, true},
		"chosen, a segment of padding":  {func(w *Writer) { w.seal(1|chosenTotal, segmentPlain, false); w.seal(0, 4, true) }, true},
		"too little padding":            {func(w *Writer) { full(w); w.seal(1, 2047, true) }, false},
		"too much padding":              {func(w *Writer) { full(w); w.seal(1, 4096, true) }, false},
		"a segment of padding too many": {func(w *Writer) { w.seal(1, segmentPlain, false); w.seal(0, 64, true) }, false},
		"ends in a full segment":        {func(w *Writer) { w.seal(segmentData, segmentPlain, true) }, false},
		"data after the end":            {func(w *Writer) { w.seal(1|chosenTotal, segmentPlain, false); w.seal(1, 64, true) }, false},
		"full after the end":            {func(w *Writer) { w.seal(1|chosenTotal, segmentPlain, false); full(w); w.seal(0, 4, true) }, false},
		"mark in the padding":           {func(w *Writer) { w.seal(1|chosenTotal, segmentPlain, false); w.seal(chosenTotal, 4, true) }, false},
		"mark in a full segment":        {func(w *Writer) { w.seal(segmentData|chosenTotal, segmentPlain, false); w.seal(1, 2048, true) }, false},
		"longer than the segment":       {func(w *Writer) { w.seal(61, 64, true) }, false},
		"much longer":                   {func(w *Writer) { w.seal(1<<31-1, 64, true) }, false},
		"padding not zero":              {func(w *Writer) { w.buf[63] = 1; w.seal(1, 64, true) }, false},
		"padding not zero further on": {func(w *Writer) {
			w.seal(1|chosenTotal, segmentPlain, false)
			clear(w.buf[:])
			w.buf[9] = 1
			w.seal(0, 64, true)
		}, false},
		"no length": {func(w *Writer) {
			sealed := w.cipher.Seal(nil, w.cipher.nonceOf(0, true), []byte{0, 0, 0}, nil)
			w.digest.add(sealed)
			w.dst.Write(sealed)
		}, false},
	} {
		for _, l := range links(t) {
			var b bytes.Buffer
			w, err := l.Sealer.NewWriter(&b)
			if err != nil {
				t.Fatal(err)
			}
			clearing := &clearWriter{w, c.make}
			clearing.run()
			if w.err = nil; w.prove() != nil {
				t.Fatal("no proof")
			}
			_, err = openStream(&l.Opener, b.Bytes())
			if c.ok && err != nil || !c.ok && !errors.Is(err, ErrOpen) {
				t.Errorf("%s, %s: %v (%v)", l.name, name, err, ReasonOf(err))
			}
		}
	}
}

// clearWriter lets seal work on a buffer of zeros each time.
type clearWriter struct {
	*Writer
	make func(*Writer)
}

func (c *clearWriter) run() {
	dst := c.dst
	c.dst = writerFunc(func(p []byte) (int, error) {
		n, err := dst.Write(p)
		clear(c.buf[:segmentPlain])
		return n, err
	})
	c.make(c.Writer)
	c.dst = dst
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

// A04: an envelope is no stream and the reverse, though suite, keys and header
// are the same.
func TestA04EnvelopesAndStreams(t *testing.T) {
	for _, l := range links(t) {
		sealed, streamed := seal(t, &l.Sealer, "m"), sealStream(t, &l.Sealer, []byte("m"))
		refusedStream(t, &l.Opener, sealed, nil, l.name, "an envelope as a stream")
		expectReason(t, &l.Opener, streamed, ReasonMalformed, "a stream as an envelope")
		// A dishonest holder of keys puts the parts of one into the form of the other.
		p, err := parseParts(sealed)
		if err != nil {
			t.Fatal(err)
		}
		s, err := readStream(bytes.NewReader(streamed), "", "", 0)
		if err != nil {
			t.Fatal(err)
		}
		asStream := streamHead{header: p.header, recipients: p.recipients, proof: p.proof}
		refusedStream(t, &l.Opener, slices.Concat(asStream.append(nil), p.body, p.proof), nil, l.name, "an envelope's parts")
		asEnvelope := parts{header: s.head.header, recipients: s.head.recipients, body: streamed[s.headSize:], proof: s.head.proof}
		if _, _, err := l.Open(nil, asEnvelope.append(nil)); !errors.Is(err, ErrOpen) {
			t.Errorf("%s: a stream's parts: %v", l.name, err)
		}
	}
}

// A04: what one key gives under one label, no other label gives.
func TestA04LabelsSeparateKeys(t *testing.T) {
	secret := newContentKey()
	seen := map[string]label.Label{}
	for _, l := range label.All() {
		key := string(secret.expand(l))
		if before, twice := seen[key]; twice {
			t.Errorf("%q and %q give one key", before, l)
		}
		seen[key] = l
	}
}

// A11, A07, A24 for streams: one thing exchanged.
func TestA07StreamOneThingExchanged(t *testing.T) {
	for _, l := range links(t) {
		sealed := sealStream(t, &l.Sealer, []byte("m"))
		for name, change := range map[string]func(*Opener) Reason{
			"another context": func(o *Opener) Reason { o.Context += "x"; return ReasonContext },
			"another receiver": func(o *Opener) Reason {
				if o.Party == "" {
					o.Identity = identity(t, "eve")
					return ReasonNotForUs
				}
				o.Party += "x"
				return ReasonProof
			},
			"another sender": func(o *Opener) Reason {
				if o.From == nil {
					o.FromParty += "x"
				} else {
					o.From = identity(t, "eve").Public()
				}
				return ReasonSender
			},
			"too large":      func(o *Opener) Reason { o.MaxSize = int64(len(sealed) - 1); return ReasonSize },
			"head too large": func(o *Opener) Reason { o.MaxSize = 100; return ReasonSize },
		} {
			o := l.Opener
			want := change(&o)
			if _, err := openStream(&o, sealed); ReasonOf(err) != want || !errors.Is(err, ErrOpen) {
				t.Errorf("%s, %s: %v (%v), want %v", l.name, name, err, ReasonOf(err), want)
			}
		}
		l.Opener.MaxSize = int64(len(sealed))
		if _, err := openStream(&l.Opener, sealed); err != nil {
			t.Errorf("%s: exactly as large as allowed: %v", l.name, err)
		}
	}
}

// The guard takes a stream before its content is seen, and takes it once.
func TestA15StreamReplay(t *testing.T) {
	for _, l := range links(t) {
		l.Opener.Replay, l.Opener.InsecureAllowReplay = anyTime(), false
		sealed := sealStream(t, &l.Sealer, []byte("m"))
		if _, err := openStream(&l.Opener, sealed); err != nil {
			t.Fatal(err)
		}
		if _, err := l.Opener.NewReader(bytes.NewReader(sealed)); ReasonOf(err) != ReasonReplay {
			t.Errorf("%s: %v", l.name, err)
		}
	}
}

// The source's own errors come through as they are.
func TestStreamSourceFails(t *testing.T) {
	l := links(t)[0]
	sealed := sealStream(t, &l.Sealer, content(3*segmentData))
	broken := errors.New("link is down")
	for _, n := range []int{0, 1, 50, len(sealed) / 2, len(sealed)} {
		_, err := openReader(&l.Opener, io.MultiReader(bytes.NewReader(sealed[:n]), failing{broken}))
		if err != broken {
			t.Errorf("after %d bytes: %v", n, err)
		}
	}
	full := errors.New("disk is full")
	for n := range 4 {
		w, err := l.Sealer.NewWriter(&limited{n, full})
		if err == nil {
			_, err = w.Write(content(2 * segmentData))
			err = errors.Join(err, w.Finish())
		}
		if !errors.Is(err, full) {
			t.Errorf("after %d writes: %v", n, err)
		}
	}
}

func openReader(o *Opener, src io.Reader) ([]byte, error) {
	r, err := o.NewReader(src)
	if err != nil {
		return nil, err
	}
	return io.ReadAll(r)
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

type limited struct {
	writes int
	err    error
}

func (l *limited) Write(p []byte) (int, error) {
	if l.writes == 0 {
		return 0, l.err
	}
	l.writes--
	return len(p), nil
}

// What is verified once is held to: the source changes under a ReaderAt.
func TestReaderAtOnChangingSource(t *testing.T) {
	l := links(t)[0]
	genuine := content(3 * segmentData)
	sealed := sealStream(t, &l.Sealer, genuine)
	r, err := l.Opener.NewReaderAt(bytes.NewReader(sealed), int64(len(sealed)))
	if err != nil {
		t.Fatal(err)
	}
	part := make([]byte, 10)
	sealed[r.start+segmentSize+5] ^= 1
	if _, err := r.ReadAt(part, segmentData); ReasonOf(err) != ReasonBody {
		t.Errorf("a changed segment: %v", err)
	}
	if n, err := r.ReadAt(part, 0); n != 10 || err != nil || !bytes.Equal(part, genuine[:10]) {
		t.Errorf("an unchanged segment: %d, %v", n, err)
	}
	// A holder of the key makes a segment that opens.
	forged := r.cipher.Seal(nil, r.cipher.nonceOf(1, false), append(binary.BigEndian.AppendUint32(nil, segmentData), make([]byte, segmentData)...), nil)
	copy(sealed[r.start+segmentSize:], forged)
	if _, err := r.ReadAt(part, segmentData); ReasonOf(err) != ReasonBody {
		t.Errorf("a forged segment: %v", err)
	}
	if _, err := r.ReadAt(part, -1); err == nil || errors.Is(err, ErrOpen) {
		t.Errorf("a negative offset: %v", err)
	}
}

// A28: memory does not grow with the stream, nor with what its head announces.
func TestA28StreamMemoryIsFlat(t *testing.T) {
	l := links(t)[0]
	used := func(size int) uint64 {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		pr, pw := io.Pipe()
		go func() {
			w, err := l.Sealer.NewWriter(pw)
			if err == nil {
				for chunk := make([]byte, 1<<16); size > 0 && err == nil; size -= len(chunk) {
					_, err = w.Write(chunk)
				}
			}
			pw.CloseWithError(errors.Join(err, w.Finish()))
		}()
		r, err := l.Opener.NewReader(pr)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, r); err != nil {
			t.Fatal(err)
		}
		runtime.ReadMemStats(&after)
		return after.TotalAlloc - before.TotalAlloc
	}
	large := 64 << 20
	if slowtest.Mode {
		large = 8 << 20
	}
	if few, many := used(1<<20), used(large); many > few+few/2 {
		t.Errorf("%d bytes are allocated for 1 MiB, and %d for %d MiB", few, many, large>>20)
	}
	for _, head := range []string{"\x94\x01\xc6\xff\xff\xff\xff", "\x94\x01\xc5\x07\xff", "\x94\x01\xc4\x01\x90\xc6\x00\x12\x00\x00"} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := openStream(&l.Opener, []byte(head))
		runtime.ReadMemStats(&after)
		if got := after.TotalAlloc - before.TotalAlloc; !errors.Is(err, ErrOpen) || got > 1<<14 {
			t.Errorf("%x: %d bytes, %v", head, got, err)
		}
	}
}

func FuzzNewReader(f *testing.F) {
	all := links(f)
	var seeds [][]byte
	for _, l := range all {
		seeds = append(seeds, sealStream(f, &l.Sealer, []byte("seed")))
		f.Add(seeds[len(seeds)-1])
	}
	f.Add([]byte("\x94\x01\xc6\xff\xff\xff\xff"))
	genuine := func(b []byte) bool {
		return slices.ContainsFunc(seeds, func(s []byte) bool { return bytes.Equal(s, b) })
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, l := range all {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			data, err := openStream(&l.Opener, b)
			runtime.ReadMemStats(&after)
			if err == nil && !genuine(b) {
				t.Fatalf("a forgery opened: %q", data)
			} else if err != nil && !errors.Is(err, ErrOpen) {
				t.Fatal(err)
			}
			if used := after.TotalAlloc - before.TotalAlloc; used > 8*uint64(len(b))+1<<19 {
				t.Fatalf("%d bytes took %d", len(b), used)
			}
		}
		s, err := readStream(bytes.NewReader(b), "", "", 0)
		if err != nil {
			return
		}
		header := s.Header.appendFields([]byte{0x90 | headerFields + 1})
		if again := s.head.append(nil); !bytes.HasPrefix(b, again) || !bytes.HasPrefix(s.head.header, header) {
			t.Fatalf("%x has a second encoding", b)
		}
	})
}
