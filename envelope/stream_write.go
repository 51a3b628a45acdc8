package envelope

import (
	"encoding/binary"
	"errors"
	"io"

	"github.com/hopseal/hopseal/internal/label"
)

var errClosed = errors.New("envelope: write to a stream that is closed")

// A Writer seals content of any size as a stream, in segments of 64 KiB and in
// constant memory. [Writer.Close] ends it: a stream that was not closed does not
// open. A Writer is for one goroutine.
type Writer struct {
	dst     io.Writer
	suite   Suite
	by      prover
	cipher  *segmentCipher
	digest  *streamDigest
	padding Padding
	buf     *[segmentSize]byte // the segment that is filled: behind a pointer, which fmt does not follow
	n       int                // bytes of content in it
	number  int64              // segments so far
	err     error              // the first, and every later one
}

// NewWriter writes the head of a stream to dst and returns a Writer for its
// content. Its errors are those of [Sealer.Seal], and dst's.
func (s *Sealer) NewWriter(dst io.Writer) (*Writer, error) {
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

// Write seals p as the next part of the content. Content that no bucket of the
// Sealer's Padding holds is refused.
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

// ReadFrom seals all of src, without a copy in between: for [io.Copy].
func (w *Writer) ReadFrom(src io.Reader) (total int64, err error) {
	for w.err == nil && err == nil {
		var n int
		n, err = src.Read(w.buf[lengthSize+w.n : segmentPlain])
		total += int64(n)
		if _, w.err = w.padding.bucket(w.content() + int64(n)); w.err == nil {
			w.filled(n)
		}
	}
	if err == io.EOF {
		err = nil
	}
	return total, errors.Join(err, w.err)
}

func (w *Writer) content() int64 { return w.number*segmentData + int64(w.n) }

// filled takes note of n more bytes in the buffer. A segment is sealed as soon as
// it is full: it is never the last.
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

// Close seals what is left, the padding and the final proof. It does not close
// what the stream is written to.
func (w *Writer) Close() error {
	if w.err == errClosed {
		return nil
	}
	total, mark, err := w.padding.stream(w.content())
	if w.err == nil {
		w.err = err
	}
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
	err, w.err = w.err, errClosed
	return err
}

func (w *Writer) prove() error {
	proof, err := w.by.append(nil, w.digest.input(w.suite))
	if err != nil {
		return err
	}
	_, err = w.dst.Write(proof)
	return err
}
