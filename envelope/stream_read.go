package envelope

import (
	"crypto/sha256"
	"io"

	"github.com/hopseal/hopseal/internal/label"
)

// An UnverifiedReader opens a stream segment by segment, in constant memory. Every byte
// that it returns is authentic to the stream's key: it is from somebody who can read the
// stream. Only after Read has returned [io.EOF] is it certain that all of it is from the
// sender and that nothing is missing. If you act on content earlier, be able to undo that.
// [Opener.NewReaderAt] verifies first.
//
// An UnverifiedReader is for one goroutine.
type UnverifiedReader struct {
	stream *stream
	check  checker
	cipher *segmentCipher
	digest *streamDigest
	layout layout
	number int64
	err    error // io.EOF once the final proof has verified
	keep   func(digest *[sha256.Size]byte)
}

// NewReader reads the head of a stream from src, verifies the sender's opening proof and
// returns a reader of the content. It passes the message id to Replay now, before it
// returns any content. It returns an error of src as it is; every failure that the stream
// itself causes matches [ErrOpen].
//
// The stream ends where src does. NewReader may read ahead. If a stream broke off, or
// somebody on the way cut it short, it cannot be read again with the same guard: its
// sender has to seal it anew. [Opener.NewReaderAt] claims only streams that are whole.
func (o *Opener) NewReader(src io.Reader) (*UnverifiedReader, error) {
	r, err := o.newReader(src)
	if err != nil {
		return nil, err
	}
	if err := o.once(&r.stream.Header); err != nil {
		return nil, err
	}
	return r, nil
}

// newReader does what NewReader does, without the claim.
func (o *Opener) newReader(src io.Reader) (*UnverifiedReader, error) {
	want, err := o.suite()
	if err != nil {
		return nil, err
	}
	s, err := readStream(src, o.FromParty, o.Context, o.MaxSize)
	if err != nil {
		return nil, err
	}
	check, err := o.authenticate(want, &s.Header)
	if err != nil {
		return nil, err
	}
	if !s.opens(check, o.Party) {
		return nil, fail(ReasonProof)
	}
	key, err := o.streamKey(s)
	if err != nil {
		return nil, err
	}
	digest := newStreamDigest(s.head.digest(), o.Party)
	return &UnverifiedReader{stream: s, check: check, cipher: newSegmentCipher(key), digest: digest}, nil
}

// opens reports whether check verifies the opening proof.
func (s *stream) opens(check checker, receiver string) bool {
	w := getScratch()
	defer putScratch(w)
	return check.verify(w.openingInput(openingProof.label(s.Suite), s.head, receiver), s.head.proof)
}

// ends reports whether check verifies the final proof.
func (s *stream) ends(check checker, digest *streamDigest) bool {
	return check.verify(digest.input(s.Suite), s.proof)
}

// streamKey returns the key of the stream, from the one key that its header names.
func (o *Opener) streamKey(s *stream) ([]byte, error) {
	digest := s.head.digest()
	info := label.StreamKey.With(digest)
	if s.Suite == SuiteRecipients {
		content, err := unwrap(o.Identity, o.Archive, &s.Header, s.head.recipients, digest)
		if err != nil {
			return nil, err
		}
		return derive(content, s.head.salt, string(info)), nil
	}
	pair, err := o.pair(&s.Header)
	if err != nil {
		return nil, err
	}
	return pair.StreamKey(s.head.salt, info)
}

// Header returns the stream's header, which the opening proof authenticates.
func (r *UnverifiedReader) Header() Header { return r.stream.Header }

// Verified reports whether the content has been read to its end and the final proof has
// verified. Then all that was read is the sender's, and nothing is missing.
func (r *UnverifiedReader) Verified() bool { return r.err == io.EOF && len(r.stream.data) == 0 }

// Read reads content that is authentic to the key: see [UnverifiedReader]. It returns
// [io.EOF] only after the final proof has verified.
func (r *UnverifiedReader) Read(p []byte) (int, error) {
	for len(r.stream.data) == 0 && len(p) > 0 {
		if r.fill(); r.err != nil && len(r.stream.data) == 0 {
			return 0, r.err
		}
	}
	n := copy(p, r.stream.data)
	r.stream.data = r.stream.data[n:]
	return n, nil
}

// WriteTo writes all content to dst without a copy in between, for [io.Copy]. If it returns
// an error, what dst has received is not verified.
func (r *UnverifiedReader) WriteTo(dst io.Writer) (total int64, err error) {
	if dst == nil {
		return 0, errNil("io.Writer")
	}
	for {
		n, err := dst.Write(r.stream.data)
		total += int64(n)
		if r.stream.data = r.stream.data[n:]; err != nil {
			return total, err
		}
		if r.err == io.EOF {
			return total, nil
		}
		if r.fill(); r.err != nil && r.err != io.EOF {
			return total, r.err
		}
	}
}

// fill opens the next segment. With the last one it sets err to io.EOF.
func (r *UnverifiedReader) fill() {
	if r.err == nil {
		r.stream.data, r.err = r.open()
	}
}

func (r *UnverifiedReader) open() ([]byte, error) {
	segment, last, err := r.stream.next()
	if err != nil {
		return nil, err
	}
	if r.number == maxSegments {
		return nil, fail(ReasonMalformed)
	}
	sum := r.digest.add(segment)
	if r.keep != nil {
		r.keep(sum)
	}
	plain, err := r.cipher.Open(segment[:0], r.cipher.nonceOf(r.number, last), segment, nil)
	if err != nil {
		return nil, fail(ReasonBody)
	}
	data, ok := r.layout.take(plain, last)
	if !ok {
		return nil, fail(ReasonBody)
	}
	r.number++
	switch {
	case !last:
		return data, nil
	case !r.stream.ends(r.check, r.digest):
		return nil, fail(ReasonProof)
	}
	return data, io.EOF
}
