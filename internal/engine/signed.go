package engine

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/binary"

	"github.com/hopseal/hopseal/internal/label"
	"github.com/hopseal/hopseal/keys"
)

// SignatureSize is the size in bytes of what follows the header of a signed message:
//
//	size  meaning
//	32    the id of the key that made the signature, see [keys.SigningKeyID]
//	64    Ed25519 signature, see [Signed]
const SignatureSize = 32 + ed25519.SignatureSize

// Signed returns what the sender of a message signs, where messages are signed. It states
// the session, the direction, the message's number in that direction, the header, the
// body and the key.
//
//	label ‖ session id ‖ u8 1 from the client, else 0 ‖ u64 number ‖ H(body) ‖ header ‖ key id
func Signed(session [32]byte, fromClient bool, number uint64, header []byte, key keys.SigningKeyID, body []byte) []byte {
	digest := sha256.Sum256(body)
	place := binary.BigEndian.AppendUint64([]byte{byte(roleNumber(fromClient))}, number)
	return label.SessionSigned.With(session[:], place, digest[:], header, key[:])
}

// SplitSignature splits [SignatureSize] bytes into the id of the key and the signature
// that it made.
func SplitSignature(b []byte) (key keys.SigningKeyID, signature []byte) {
	n := copy(key[:], b)
	return key, b[n:]
}

// Room reports whether the driver could seal or queue a message of the kind now. It is for
// a driver that has to sign the message first.
func (s *Session) Room(kind Kind) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.out.hasRoom(kind) && (s.in.stored || s.out.cursor == s.out.last)
}
