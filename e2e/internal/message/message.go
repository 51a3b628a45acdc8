// Package message has the type of the messages that one application sends to the other. It is a
// package of its own because errors contain messages, and the packages below e2e move them.
package message

import (
	"time"

	"github.com/hopseal/hopseal/internal/engine"
)

// A Message is e2e.Message, which explains it.
type Message struct {
	// Type is the kind of message, in the words of the application: at most 128 bytes of
	// UTF-8. It is "" if the sender gave none.
	Type string

	// Time is when it was sent, to the millisecond, as the sender says: the sender's clock
	// may be wrong, and the sender may lie.
	Time time.Time

	// ID is the message's number, from 1, among all that its sender has sent in the
	// session. Both ends know it. It stays the same whatever connection the message
	// arrives on.
	ID uint64

	Data []byte

	// Proof shows others that the sender has sent this message, see VerifyProof. It is nil
	// unless both ends have ProofEd25519.
	Proof []byte
}

// A Proof is what messages carry for third parties.
type Proof byte

// Proofs.
const (
	ProofNone    = Proof(engine.ProofNone)
	ProofEd25519 = Proof(engine.ProofEd25519)
)
