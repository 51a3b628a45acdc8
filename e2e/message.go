package e2e

import "time"

// A Message is what one application sends to the other.
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

	// Proof shows to others that the sender has sent this, see [VerifyProof]. It is nil
	// unless both ends have [ProofEd25519].
	Proof []byte
}

// message returns what the application gets of a message that has come.
func (s *Session) message(m incoming) Message {
	return Message{m.Type, m.Time, m.number, m.body, s.proof(m)}
}
