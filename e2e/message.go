package e2e

import (
	"github.com/hopseal/hopseal/e2e/internal/flow"
	"github.com/hopseal/hopseal/e2e/internal/message"
	"github.com/hopseal/hopseal/e2e/internal/signing"
)

// A Message is what one application sends to the other:
//
//	Type   the kind of message, in the words of the application: at most 128 bytes of
//	       UTF-8. It is "" if the sender gave none.
//	Time   when it was sent, to the millisecond, as the sender says: the sender's clock may
//	       be wrong, and the sender may lie.
//	ID     the message's number, from 1, among all that its sender has sent in the
//	       session. Both ends know it. It stays the same whatever connection the message
//	       arrives on.
//	Data   its bytes
//	Proof  shows others that the sender has sent this message, see [VerifyProof]. It is
//	       nil unless both ends have [ProofEd25519].
type Message = message.Message

// A Proof says what each message of a session carries to convince third parties. The other end can
// always verify where a message comes from.
type Proof = message.Proof

// Proofs.
const (
	// ProofNone: nothing. AES-256-GCM authenticates messages under keys that are bound to both
	// identities. That proves something to the two ends only.
	ProofNone = message.ProofNone

	// ProofEd25519: a signature by the sender's identity, which shows anybody later who sent
	// what.
	ProofEd25519 = message.ProofEd25519
)

// message returns an incoming message in the form that the application gets.
func (s *Session) message(m flow.Incoming) Message {
	var proof []byte
	if m.Signature != nil {
		proof = signing.ProofOf(s.engine, m.Header, m.Number, m.Signature)
	}
	return Message{Type: m.Type, Time: m.Time, ID: m.Number, Data: m.Body, Proof: proof}
}
