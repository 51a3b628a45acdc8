// Package signing signs the messages of a session, checks their signatures, and makes each into a
// proof for those who were not there. Sessions use it if both ends have set Config.Proof.
package signing

import (
	"bytes"
	"encoding/binary"
	"errors"
	"time"

	"github.com/hopseal/hopseal/e2e/internal/message"
	"github.com/hopseal/hopseal/internal/engine"
	"github.com/hopseal/hopseal/keys"
)

// ErrProof is the error of [VerifyProof] for anything that proves nothing.
var ErrProof = errors.New("e2e: this does not prove that the identity has sent this message")

// A proof:
//
//	size  meaning
//	1     1, the version
//	32    the session's id
//	1     1 if the client has sent the message, else 0
//	8     the message's number
//	32    id of the key that has signed it
//	64    signature by that key of the sender
//	rest  header of the message, see engine.Header
const (
	version = 1
	fixed   = 1 + 32 + 1 + 8 + engine.SignatureSize
)

// ProofOf returns the proof of a message that has come in a session. The caller has checked its
// signature.
func ProofOf(e *engine.Session, h engine.Header, number uint64, signature []byte) []byte {
	id := e.ID()
	b := append([]byte{version}, id[:]...)
	if b = append(b, 1); e.Client() {
		b[33] = 0 // the server has sent it
	}
	b = binary.BigEndian.AppendUint64(b, number)
	return h.Append(append(b, signature...))
}

// VerifyProof is e2e.VerifyProof, which explains it.
func VerifyProof(by *keys.PublicIdentity, proof, data []byte) (message.Message, error) {
	if len(proof) < fixed || proof[0] != version || proof[33] > 1 {
		return message.Message{}, ErrProof
	}
	id, fromClient, number := [32]byte(proof[1:]), proof[33] == 1, binary.BigEndian.Uint64(proof[34:])
	key, signature := engine.SplitSignature(proof[42:fixed])
	header := proof[fixed:]
	h, size, err := engine.ParseHeader(header, "")
	if err != nil || size != len(header) || h.Kind == engine.KindRefusal || number == 0 {
		return message.Message{}, ErrProof
	}
	if !verifies(by, h.Time, key, engine.Signed(id, fromClient, number, header, key, data), signature) {
		return message.Message{}, ErrProof
	}
	return message.Message{Type: h.Type, Time: h.Time, ID: number, Data: data, Proof: bytes.Clone(proof)}, nil
}

// verifies reports whether the key with this id has signed the input. The identity must list the
// key as valid at the time. verifies tries no other key: an identity may list many, and each would
// cost a verification (A22).
func verifies(by *keys.PublicIdentity, at time.Time, id keys.SigningKeyID, input, signature []byte) bool {
	key, listed := by.VerifyingKeyByID(id)
	primary := id == by.VerifyingKey().ID()
	return listed && (primary || key.ValidAt(at)) && key.Verify(input, signature)
}
