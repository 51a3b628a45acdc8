package engine

import (
	"crypto/sha256"
	"encoding/binary"

	"github.com/hopseal/hopseal/internal/label"
)

// SignatureSize is the size in bytes of what follows the header of a signed message.
const SignatureSize = 64

// Signed returns what the sender of a message signs where messages are signed: in which
// session, in which direction, as which message of that, with which header and body.
//
//	label ‖ session id ‖ u8 1 from the client, else 0 ‖ u64 number ‖ H(body) ‖ header
func Signed(session [32]byte, fromClient bool, number uint64, header, body []byte) []byte {
	digest := sha256.Sum256(body)
	place := binary.BigEndian.AppendUint64([]byte{byte(roleNumber(fromClient))}, number)
	return label.SessionSigned.With(session[:], place, digest[:], header)
}

// Room reports whether a message of the kind could be sealed now, or queued, for a driver
// that has to sign it first.
func (s *Session) Room(kind Kind) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.out.room(kind.Free()) && (s.in.stored || s.out.cursor == s.out.last)
}
