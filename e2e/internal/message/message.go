// Package message says what one application sends to the other. The errors that hold
// messages, and what moves them, need it below the session's face.
package message

import (
	"time"

	"github.com/hopseal/hopseal/internal/engine"
)

// A Message is e2e.Message, which explains it.
type Message struct {
	// Type says what kind of message it is, in the words of the application: at most
	// 128 bytes of UTF-8. It is "" where nobody gave one.
	Type string

	// Time is when it was sent, to the millisecond. It is the sender's word: its clock
	// may be wrong, and it may lie.
	Time time.Time

	// ID is the message's number, from 1, among all that its sender has sent in the
	// session. Both ends know it, and it stays the same on whatever connection the
	// message arrives.
	ID uint64

	Data []byte

	// Proof shows to others that the sender has sent this, see VerifyProof. It is nil
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
