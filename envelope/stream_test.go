package envelope

import (
	"bytes"
	"errors"
	"io"
	"testing"
	"testing/iotest"

	"github.com/hopseal/hopseal/internal/slowtest"
)

// content returns n bytes that differ from segment to segment.
func content(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i ^ i>>8 ^ i>>16)
	}
	return b
}

func sealStream(t testing.TB, s *Sealer, data []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := s.NewWriter(&b)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := w.Finish(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func openStream(o *Opener, sealed []byte) ([]byte, error) {
	r, err := o.NewReader(bytes.NewReader(sealed))
	if err != nil {
		return nil, err
	}
	return io.ReadAll(r)
}

var streamSizes = []int{0, 1, 60, 61, segmentData - 1, segmentData, segmentData + 1, 2*segmentData + 7, 5 * segmentData}

func TestStreamRoundTrip(t *testing.T) {
	sizes := streamSizes
	if slowtest.Mode {
		sizes = []int{0, 61, segmentData, segmentData + 1}
	}
	for _, l := range links(t) {
		for _, n := range sizes {
			for name, p := range map[string]Padding{"padmé": {}, "none": NoPadding(), "buckets": Buckets(100, 1<<20)} {
				l.Sealer.Padding = p
				sealed := sealStream(t, &l.Sealer, content(n))
				for reader, src := range map[string]io.Reader{
					"whole": bytes.NewReader(sealed), "bytewise": iotest.OneByteReader(bytes.NewReader(sealed)),
					"data with EOF": iotest.DataErrReader(bytes.NewReader(sealed)),
				} {
					r, err := l.Opener.NewReader(src)
					if err != nil {
						t.Fatalf("%s, %d bytes, %s, %s: %v", l.name, n, name, reader, ReasonOf(err))
					}
					if r.Verified() {
						t.Fatal("verified before it was read")
					}
					got, err := io.ReadAll(r)
					if err != nil || !bytes.Equal(got, content(n)) || !r.Verified() {
						t.Errorf("%s, %d bytes, %s, %s: %d bytes, %v (%v)", l.name, n, name, reader, len(got), err, ReasonOf(err))
					}
				}
			}
		}
	}
}

func TestStreamThroughCopyAndReaderAt(t *testing.T) {
	for _, l := range links(t) {
		for _, n := range streamSizes {
			var sealed, opened bytes.Buffer
			w, err := l.Sealer.NewWriter(&sealed)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := io.Copy(w, struct{ io.Reader }{bytes.NewReader(content(n))}); err != nil {
				t.Fatal(err)
			}
			if err := w.Finish(); err != nil {
				t.Fatal(err)
			}
			at, err := l.Opener.NewReaderAt(bytes.NewReader(sealed.Bytes()), int64(sealed.Len()))
			if err != nil {
				t.Fatal(err)
			}
			if at.Size() != int64(n) {
				t.Errorf("size %d, want %d", at.Size(), n)
			}
			if err := iotest.TestReader(io.NewSectionReader(at, 0, at.Size()), content(n)); n < 1000 && err != nil {
				t.Error(err)
			}
			for _, off := range []int{0, 1, n / 2, n - 1, segmentData - 1, segmentData} {
				part := make([]byte, 3)
				got, err := at.ReadAt(part, int64(max(off, 0)))
				want, wantErr := bytes.NewReader(content(n)).ReadAt(make([]byte, 3), int64(max(off, 0)))
				if got != want || err != wantErr || !bytes.Equal(part[:got], content(n)[min(max(off, 0), n):][:got]) {
					t.Errorf("%d bytes at %d of %d: %d, %v; want %d, %v", 3, off, n, got, err, want, wantErr)
				}
			}
			r, err := l.Opener.NewReader(&sealed)
			if err != nil {
				t.Fatal(err)
			}
			if got, err := io.Copy(&opened, r); err != nil || got != int64(n) || !bytes.Equal(opened.Bytes(), content(n)) {
				t.Errorf("%s, %d bytes: copied %d, %v", l.name, n, got, err)
			}
		}
	}
}

// A caller that reads until the content is verified gets all of it.
func TestStreamVerifiedOnlyAtItsEnd(t *testing.T) {
	for _, l := range links(t) {
		for _, n := range []int{1, 100, segmentData + 1} {
			r, err := l.Opener.NewReader(bytes.NewReader(sealStream(t, &l.Sealer, content(n))))
			if err != nil {
				t.Fatal(err)
			}
			var got []byte
			for part := make([]byte, 7); !r.Verified(); {
				m, err := r.Read(part)
				if got = append(got, part[:m]...); err != nil && err != io.EOF {
					t.Fatal(err)
				}
			}
			if !bytes.Equal(got, content(n)) {
				t.Errorf("%s: verified after %d bytes of %d", l.name, len(got), n)
			}
		}
	}
}

func TestStreamMisuse(t *testing.T) {
	l := links(t)[0]
	var b bytes.Buffer
	w, err := l.Sealer.NewWriter(&b)
	if err != nil {
		t.Fatal(err)
	}
	w.Write([]byte("x"))
	if _, err := openStream(&l.Opener, b.Bytes()); !errors.Is(err, ErrOpen) {
		t.Errorf("a stream that was not finished: %v", err)
	}
	if err := w.Finish(); err != nil {
		t.Fatal(err)
	}
	whole := b.Len()
	if err := w.Finish(); err != nil || b.Len() != whole {
		t.Errorf("finished twice: %v, %d bytes more", err, b.Len()-whole)
	}
	if _, err := w.Write([]byte("y")); err != errFinished || b.Len() != whole {
		t.Errorf("written after it was finished: %v", err)
	}
	if _, err := w.ReadFrom(bytes.NewReader([]byte("y"))); err != errFinished {
		t.Errorf("read from after it was finished: %v", err)
	}
}
