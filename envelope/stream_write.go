package envelope

import (
	"cmp"
	"encoding/binary"
	"errors"
	"io"

	"github.com/hopseal/hopseal/internal/label"
)

var (
	errFinished   = errors.New("envelope: write to a stream that is finished")
	errUnfinished = errors.New("envelope: the stream was closed before Finish and does not open")
)

// A Writer seals content of any size as a stream, in segments of 64 KiB and in constant
// memory. A stream opens only if [Writer.Finish] was called. Call it when all of the content
// is written, and do not defer it. Defer [Writer.Close] instead, which gives up a stream
// that is not finished:
//
//	w, err := sealer.NewWriter(file)
//	if err != nil {
//		return err
//	}
//	defer w.Close() // gives the stream up, unless Finish was called
//	if _, err := io.Copy(w, source); err != nil {
//		return err
//	}
//	return w.Finish()
//
// A Writer is for one goroutine.
type Writer struct {
	dst     io.Writer
	suite   Suite
	by      prover
	cipher  *segmentCipher
	digest  *streamDigest
	padding Padding
	buf     *[segmentSize]byte // the segment that is being filled: behind a pointer, which fmt does not follow
	n       int                // bytes of content in it
	number  int64              // segments so far
	err     error              // the first one, which all later calls return; errFinished after Finish
}

// NewWriter writes the head of a stream to dst and returns a Writer for its
// content. Its errors are those of [Sealer.Seal], and dst's.
func (s *Sealer) NewWriter(dst io.Writer) (*Writer, error) {
	if dst == nil {
		return nil, errNil("io.Writer")
	}
	m, err := s.begin()
	if err != nil {
		return nil, err
	}
	head := newStreamHead(&m.Header)
	if head.recipients, err = m.wrap(s.To, label.StreamHeader, head.header); err != nil {
		return nil, err
	}
	w := getScratch()
	defer putScratch(w)
	input := w.openingInput(openingProof.label(m.Suite), head, s.ToParty)
	if head.proof, err = m.by.append(nil, input); err != nil {
		return nil, err
	}
	key, err := m.streamKey(head)
	if err != nil {
		return nil, err
	}
	if _, err := dst.Write(head.append(nil)); err != nil {
		return nil, err
	}
	return &Writer{
		dst: dst, suite: m.Suite, by: m.by, padding: s.Padding,
		cipher: newSegmentCipher(key), digest: newStreamDigest(head.digest(), s.ToParty),
		buf: new([segmentSize]byte),
	}, nil
}

func (m *outgoing) streamKey(head streamHead) ([]byte, error) {
	info := label.StreamKey.With(head.digest())
	if m.Suite == SuiteRecipients {
		return derive(m.content, head.salt, string(info)), nil
	}
	return m.pair.StreamKey(head.salt, info)
}

// Write seals p as the next part of the content. It refuses content that is larger than the
// largest bucket of the Sealer's Padding.
func (w *Writer) Write(p []byte) (n int, err error) {
	if w.err == nil {
		_, w.err = w.padding.bucket(w.content() + int64(len(p)))
	}
	for w.err == nil && n < len(p) {
		copied := copy(w.buf[lengthSize+w.n:segmentPlain], p[n:])
		n += copied
		w.filled(copied)
	}
	return n, w.err
}

// ReadFrom seals all of src without a copy in between, for [io.Copy]. If src fails, the
// Writer keeps its error, and the stream cannot be finished: part of src is missing.
func (w *Writer) ReadFrom(src io.Reader) (total int64, err error) {
	if src == nil {
		w.err = cmp.Or(w.err, errNil("io.Reader"))
	}
	for w.err == nil && err == nil {
		var n int
		n, err = src.Read(w.buf[lengthSize+w.n : segmentPlain])
		total += int64(n)
		if _, w.err = w.padding.bucket(w.content() + int64(n)); w.err == nil {
			w.filled(n)
		}
	}
	if err != io.EOF {
		w.err = cmp.Or(w.err, err)
	}
	return total, w.err
}

func (w *Writer) content() int64 { return w.number*segmentData + int64(w.n) }

// filled counts n more bytes in the buffer. It seals a segment as soon as that is full: a
// full one is never the last.
func (w *Writer) filled(n int) {
	if w.n += n; w.n == segmentData {
		w.n = 0
		w.seal(segmentData, segmentPlain, false)
	}
}

// seal seals the first size bytes of the buffer in place and writes them.
func (w *Writer) seal(length uint32, size int64, last bool) {
	binary.BigEndian.PutUint32(w.buf[:], length)
	sealed := w.cipher.Seal(w.buf[:0], w.cipher.nonceOf(w.number, last), w.buf[:size], nil)
	w.digest.add(sealed)
	w.number++
	_, w.err = w.dst.Write(sealed)
}

// Finish seals the rest of the content and the padding, and writes the final proof, which
// says that this is all of the content. It does not close the [io.Writer] below. It returns
// the first error that the Writer met; then there is no final proof, and the stream does not
// open.
func (w *Writer) Finish() error {
	if w.err == errFinished {
		return nil
	}
	total, mark, err := w.padding.stream(w.content())
	w.err = cmp.Or(w.err, err)
	length := uint32(w.n) | mark
	clear(w.buf[lengthSize+w.n:])
	for left := total - w.number*segmentPlain; w.err == nil && left > 0; left -= segmentPlain {
		w.seal(length, min(left, segmentPlain), left <= segmentPlain)
		clear(w.buf[:])
		length = 0
	}
	if w.err == nil {
		w.err = w.prove()
	}
	clear(w.buf[:])
	if err := w.err; err != nil {
		return err
	}
	w.err = errFinished
	return nil
}

// Abort gives the stream up, unless it is finished. Nothing more is written, and what was
// written does not open as a whole.
func (w *Writer) Abort() {
	w.err = cmp.Or(w.err, errUnfinished)
	clear(w.buf[:])
}

// Close does what Abort does, and returns an error unless the stream was finished.
func (w *Writer) Close() error {
	if w.Abort(); w.err != errFinished {
		return w.err
	}
	return nil
}

func (w *Writer) prove() error {
	proof, err := w.by.append(nil, w.digest.input(w.suite))
	if err != nil {
		return err
	}
	_, err = w.dst.Write(proof)
	return err
}
