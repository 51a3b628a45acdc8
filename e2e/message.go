package e2e

import (
	"github.com/hopseal/hopseal/e2e/internal/flow"
	"github.com/hopseal/hopseal/e2e/internal/message"
	"github.com/hopseal/hopseal/e2e/internal/signing"
)

// A Message is what one application sends to the other:
//
//	Type   what kind of message it is, in the words of the application: at most 128
//	       bytes of UTF-8. It is "" where nobody gave one.
//	Time   when it was sent, to the millisecond. It is the sender's word: its clock may
//	       be wrong, and it may lie.
//	ID     the message's number, from 1, among all that its sender has sent in the
//	       session. Both ends know it, and it stays the same on whatever connection the
//	       message arrives.
//	Data   its bytes
//	Proof  shows to others that the sender has sent this, see [VerifyProof]. It is nil
//	       unless both ends have [ProofEd25519].
type Message = message.Message

// A Proof is what each message of a session carries, beside what proves to the other
// end where it comes from.
type Proof = message.Proof

// Proofs.
const (
	// ProofNone: nothing. Messages are authenticated by AES-256-GCM, under keys that
	// both identities went into, which proves something to the ends and to nobody else.
	ProofNone = message.ProofNone

	// ProofEd25519: a signature by the sender's identity, for whoever has to be shown
	// later who sent what.
	ProofEd25519 = message.ProofEd25519
)

// message returns what the application gets of a message that has come.
func (s *Session) message(m flow.Incoming) Message {
	var proof []byte
	if m.Signature != nil {
		proof = signing.ProofOf(s.engine, m.Header, m.Number, m.Signature)
	}
	return Message{Type: m.Type, Time: m.Time, ID: m.Number, Data: m.Body, Proof: proof}
}
