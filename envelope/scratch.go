package envelope

import (
	"crypto/sha256"
	"encoding/binary"
	"hash"
	"sync"

	"github.com/hopseal/hopseal/internal/label"
)

// scratch holds the header, the associated data and the proof's input while one call makes
// them. A hop may see all of them. It is pooled, so that a message under a shared keyset
// allocates only its AES state.
type scratch struct {
	header []byte
	aad    []byte
	hash   hash.Hash // SHA-256
	proof  []byte
}

var scratches = sync.Pool{New: func() any { return &scratch{hash: sha256.New()} }}

func getScratch() *scratch  { return scratches.Get().(*scratch) }
func putScratch(s *scratch) { scratches.Put(s) }

// bodyAAD returns label ‖ header, with the header as received.
func (s *scratch) bodyAAD(header []byte) []byte {
	s.aad = append(append(s.aad[:0], label.EnvelopeBody...), header...)
	return s.aad
}

// proofInput returns what the sender signs or MACs: label ‖ SHA-256(label ‖
// length-prefixed header, recipients, body, receiver), always one short input. The
// lengths are 8 bytes, big-endian; an absent field has length 0, which a present
// one never has.
//
// In the shared suites, where all parties have the same key, receiver is the name of the
// party that the message is for. It is not sent. If a hop takes the message to another
// party, that party puts its own name here and the proof fails.
func (s *scratch) proofInput(l label.Label, p parts, receiver string) []byte {
	s.begin(label.EnvelopeDigest)
	s.field(p.header)
	s.field(p.recipients)
	s.field(p.body)
	s.text(receiver)
	return s.input(l)
}

// openingInput returns what the sender signs or MACs for the opening proof of a stream.
func (s *scratch) openingInput(l label.Label, head streamHead, receiver string) []byte {
	s.begin(label.StreamOpeningDigest)
	s.field(head.header)
	s.field(head.recipients)
	s.text(receiver)
	return s.input(l)
}

func (s *scratch) begin(l label.Label) {
	s.hash.Reset()
	s.proof = append(s.proof[:0], l...)
	s.hash.Write(s.proof)
}

// field hashes the length of b, in 8 bytes, and b.
func (s *scratch) field(b []byte) {
	s.proof = binary.BigEndian.AppendUint64(s.proof[:0], uint64(len(b)))
	s.hash.Write(s.proof)
	s.hash.Write(b)
}

func (s *scratch) text(t string) {
	s.proof = append(binary.BigEndian.AppendUint64(s.proof[:0], uint64(len(t))), t...)
	s.hash.Write(s.proof)
}

// input returns label ‖ digest of what was hashed.
func (s *scratch) input(l label.Label) []byte {
	s.proof = s.hash.Sum(append(s.proof[:0], l...))
	return s.proof
}
