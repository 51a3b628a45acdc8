package envelope

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"io"
	"math"

	"github.com/hopseal/hopseal/internal/gcm"
	"github.com/hopseal/hopseal/internal/strict"
)

// Limits in bytes: more than any header takes, and more than the proofs of later suites may
// take. So a stream of a later suite is refused as one, by name.
const (
	maxStreamHeader = 2048
	maxProof        = 1 << 14
)

// A stream is a stream that is being read: its head, and then its segments.
type stream struct {
	Header
	head     streamHead
	headSize int64
	src      *bufio.Reader
	left     int64  // how many bytes may still be read
	buf      []byte // a segment, the final proof behind it, and one byte more
	have     int    // bytes in buf
	proof    []byte // the final one, once the last segment has been read
	data     []byte // what an UnverifiedReader has opened and not returned yet: here, since fmt does not follow its pointer
}

// readStream reads the head from src and keeps no more memory than the head takes. If a text
// equals the expected one, it uses that string, which saves a copy. most is the largest
// size of a stream, 0 for any.
func readStream(src io.Reader, party, context string, most int64) (*stream, error) {
	if src == nil {
		return nil, errNil("io.Reader")
	}
	s := &stream{src: bufio.NewReader(src), left: most}
	if most <= 0 {
		s.left = math.MaxInt64
	}
	r := headReader{src: s.src}
	r.fixed(2) // array, version
	if v, ok := strict.Version(r.b.Bytes()); ok && v != version {
		return nil, fail(ReasonVersion)
	}
	r.bin(maxStreamHeader)
	r.bin(3 + MaxRecipients*recipientSize)
	r.bin(maxProof)
	if r.err != nil {
		return nil, r.err
	}
	s.headSize = int64(r.b.Len())
	if s.left -= s.headSize; s.left < 0 {
		return nil, fail(ReasonSize)
	}
	var err error
	if s.head, err = parseStreamHead(r.b.Bytes()); err != nil {
		return nil, err
	}
	if s.Header, s.head.salt, err = parseStreamHeader(s.head.header, party, context); err != nil {
		return nil, err
	}
	if !s.Suite.fits(s.head.recipients, s.head.proof) {
		return nil, fail(ReasonMalformed)
	}
	return s, nil
}

// next returns the next segment and whether it is the last one, which the final proof and the
// end of the input follow. The segment is valid until the next call, and the caller may
// overwrite it.
func (s *stream) next() (segment []byte, last bool, err error) {
	if s.buf == nil {
		s.buf = make([]byte, segmentSize+s.Suite.proofSize()+1)
	} else {
		s.have = copy(s.buf, s.buf[segmentSize:s.have])
	}
	n, err := io.ReadFull(s.src, s.buf[s.have:])
	s.have += n
	if s.left -= int64(n); s.left < 0 {
		return nil, false, fail(ReasonSize)
	}
	if err == nil {
		return s.buf[:segmentSize], false, nil
	}
	if err = cutShort(err); ReasonOf(err) == 0 {
		return nil, false, err
	}
	end := s.have - s.Suite.proofSize()
	if end < lengthSize+gcm.TagSize || end > segmentSize {
		return nil, false, fail(ReasonMalformed)
	}
	s.proof = s.buf[end:s.have]
	return s.buf[:end], true, nil
}

// A headReader collects the bytes of a head, whose length is not known before. It looks at
// lengths only; the strict parser reads the bytes afterwards.
type headReader struct {
	src *bufio.Reader
	b   bytes.Buffer // grows with what arrives, not with what is announced
	err error
}

func (r *headReader) fixed(n int) {
	if r.err != nil {
		return
	}
	if _, err := io.CopyN(&r.b, r.src, int64(n)); err != nil {
		r.err = cutShort(err)
	}
}

// bin collects a byte string of at most most bytes, or a nil.
func (r *headReader) bin(most int) {
	start := r.b.Len()
	if r.fixed(1); r.err != nil {
		return
	}
	var digits int
	switch r.b.Bytes()[start] {
	case 0xc0: // nil
		return
	case 0xc4:
		digits = 1
	case 0xc5:
		digits = 2
	case 0xc6:
		digits = 4
	default:
		r.err = fail(ReasonMalformed)
		return
	}
	if r.fixed(digits); r.err != nil {
		return
	}
	var wide [8]byte
	copy(wide[8-digits:], r.b.Bytes()[start+1:])
	n := binary.BigEndian.Uint64(wide[:])
	if n > uint64(most) {
		r.err = fail(ReasonMalformed)
		return
	}
	r.fixed(int(n))
}

// cutShort returns the error for a stream that was cut short if err is the end of the input,
// and else err, which is the input's own.
func cutShort(err error) error {
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		return fail(ReasonMalformed)
	}
	return err
}
