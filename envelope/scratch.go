package envelope

import (
	"crypto/sha256"
	"encoding/binary"
	"hash"
	"sync"

	"github.com/hopseal/hopseal/internal/label"
)

// scratch is the room in which one call makes a header, its associated data and
// the input of its proof, all of which a hop may see. It is pooled: a message
// under a shared keyset then costs but its AES state.
type scratch struct {
	header []byte
	aad    []byte
	hash   hash.Hash // SHA-256
	proof  []byte
}

var scratches = sync.Pool{New: func() any { return &scratch{hash: sha256.New()} }}

func getScratch() *scratch  { return scratches.Get().(*scratch) }
func putScratch(s *scratch) { scratches.Put(s) }

// bodyAAD is label ‖ header, as received.
func (s *scratch) bodyAAD(header []byte) []byte {
	s.aad = append(append(s.aad[:0], label.EnvelopeBody...), header...)
	return s.aad
}

// proofInput is what the sender signs or MACs: label ‖ SHA-256(label ‖
// length-prefixed header, recipients, body, receiver), always one short input. The
// lengths are 8 bytes, big-endian; an absent field has length 0, which a present
// one never has.
//
// The receiver is the name of the party that the message is for, in the shared
// suites, where all parties have the same key. It is not sent: a hop that takes
// the message to another party takes it to one that puts another name here.
func (s *scratch) proofInput(l label.Label, p parts, receiver string) []byte {
	s.begin(label.EnvelopeDigest)
	s.field(p.header)
	s.field(p.recipients)
	s.field(p.body)
	s.text(receiver)
	return s.input(l)
}

// openingInput is what the opening proof of a stream is made of.
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

// field hashes a length of 8 bytes and b.
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
