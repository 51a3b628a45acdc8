package envelope

import (
	"crypto/cipher"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"hash"

	"github.com/hopseal/hopseal/internal/gcm"
	"github.com/hopseal/hopseal/internal/label"
	"github.com/hopseal/hopseal/internal/strict"
)

var (
	openingProof = proofKind{label.StreamOpening, label.StreamOpeningKeyed}
	finalProof   = proofKind{label.StreamFinal, label.StreamFinalKeyed}
)

// streamHead is the head of a stream taken apart.
type streamHead struct {
	header     []byte
	recipients []byte // nil in the shared suites
	proof      []byte // the opening one
	salt       []byte
}

func newStreamHead(h *Header) streamHead {
	salt := make([]byte, saltSize)
	rand.Read(salt)
	header := h.appendFields(strict.AppendArray(nil, headerFields+1))
	return streamHead{header: strict.AppendBin(header, salt), salt: salt}
}

func (s *streamHead) append(dst []byte) []byte {
	dst = strict.AppendUint(strict.AppendArray(dst, 4), version)
	dst = strict.AppendBin(dst, s.header)
	dst = appendRecipients(dst, s.recipients)
	return strict.AppendBin(dst, s.proof)
}

// digest returns the header's.
func (s *streamHead) digest() []byte { return headerDigest(label.StreamHeader, s.header) }

func parseStreamHead(b []byte) (s streamHead, err error) {
	r := strict.NewReader(b)
	r.Array(4)
	if r.Uint() != version { // see readStream
		r.Fail()
	}
	s.header = r.Bin(1, maxStreamHeader)
	if !r.Nil() {
		s.recipients = r.Bin(1, len(b))
	}
	s.proof = r.Bin(1, maxProof) // see Suite.fits
	if r.Done() != nil {
		return s, fail(ReasonMalformed)
	}
	return s, nil
}

func parseStreamHeader(b []byte, party, context string) (h Header, salt []byte, err error) {
	if err := checkSuite(b); err != nil {
		return Header{}, nil, err
	}
	r := strict.NewReader(b)
	r.Array(headerFields + 1)
	if err := h.parseFields(&r, party, context); err != nil {
		return Header{}, nil, err
	}
	salt = r.Bin(saltSize, saltSize)
	if r.Done() != nil {
		return Header{}, nil, fail(ReasonMalformed)
	}
	return h, salt, nil
}

// A segmentCipher makes the nonces of one stream's segments.
type segmentCipher struct {
	cipher.AEAD
	nonce [gcm.NonceSize]byte
}

func newSegmentCipher(key []byte) *segmentCipher { return &segmentCipher{AEAD: gcm.New(key)} }

// nonceOf returns the segment's number, 11 bytes big-endian, and the mark of the last one. The
// next call overwrites it.
func (c *segmentCipher) nonceOf(number int64, last bool) []byte {
	binary.BigEndian.PutUint64(c.nonce[3:], uint64(number))
	c.nonce[gcm.NonceSize-1] = 0
	if last {
		c.nonce[gcm.NonceSize-1] = 1
	}
	return c.nonce[:]
}

// A streamDigest hashes what the final proof covers: the header's digest, the receiver, and
// then the digests of all segments.
type streamDigest struct {
	total, segment hash.Hash
	sum            [sha256.Size]byte
	room           []byte
}

func newStreamDigest(headerDigest []byte, receiver string) *streamDigest {
	d := &streamDigest{total: sha256.New(), segment: sha256.New()}
	d.total.Write([]byte(label.StreamFinalDigest))
	d.total.Write(headerDigest)
	d.total.Write(binary.BigEndian.AppendUint64(nil, uint64(len(receiver))))
	d.total.Write([]byte(receiver))
	d.room = []byte(label.StreamSegment)
	return d
}

// add hashes a segment and returns its digest. The next call overwrites it.
func (d *streamDigest) add(segment []byte) *[sha256.Size]byte {
	d.segment.Reset()
	d.segment.Write(d.room)
	d.segment.Write(segment)
	d.segment.Sum(d.sum[:0])
	d.total.Write(d.sum[:])
	return &d.sum
}

// input returns what the sender signs or MACs for the final proof.
func (d *streamDigest) input(s Suite) []byte {
	return d.total.Sum([]byte(finalProof.label(s)))
}

// A layout checks how the segments of a stream hold its content and its padding: there is one
// way to seal content of one size and padding.
type layout struct {
	content, total int64 // bytes so far, of content and of plaintext
	ended, chosen  bool  // the content has ended; the sender chose the total
}

// take returns the data in a segment's plaintext.
func (l *layout) take(plain []byte, last bool) ([]byte, bool) {
	if len(plain) < lengthSize {
		return nil, false
	}
	length := binary.BigEndian.Uint32(plain)
	n := int64(length &^ chosenTotal)
	l.total += int64(len(plain))
	l.content += n
	switch {
	case l.content > maxStream:
		return nil, false
	case l.ended:
		return nil, length == 0 && zeros(plain) && l.fits(last)
	case length == segmentData && len(plain) == segmentPlain:
		return plain[lengthSize:], !last
	case n >= segmentData || n > int64(len(plain)-lengthSize):
		return nil, false
	}
	l.ended, l.chosen = true, length&chosenTotal != 0
	data, rest := plain[lengthSize:][:n], plain[lengthSize+n:]
	return data, zeros(rest) && l.fits(last)
}

// fits reports whether the total is the right one for the content. It is known with the last
// segment; before that fits reports true.
func (l *layout) fits(last bool) bool {
	return !last || l.chosen || l.total == padme(plainSize(l.content))
}
