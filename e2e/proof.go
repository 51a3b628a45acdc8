package e2e

import (
	"github.com/hopseal/hopseal/e2e/internal/flow"
	"github.com/hopseal/hopseal/e2e/internal/signing"
	"github.com/hopseal/hopseal/keys"
)

// ErrProof is returned by [VerifyProof] for whatever does not prove anything.
var ErrProof = signing.ErrProof

// VerifyProof checks, for somebody who was not there, that the owner of an identity has
// sent a message: the proof is [Message.Proof], the data that of the message, and the
// identity one that lists the key it was signed with, such as the sender's of that time.
// It returns what was sent, whatever the fields of the Message said that it came with.
// The error is [ErrProof].
//
// The time in the message is the sender's word, and the message is one of two ends that
// may have agreed on anything: a proof shows who said something, not that it is true.
func VerifyProof(by *keys.PublicIdentity, proof, data []byte) (Message, error) {
	return signing.VerifyProof(by, proof, data)
}

// ErrSignature is part of the end of a session in which a message did not carry its
// sender's signature, although messages have to. It matches [ErrMisbehaved].
var ErrSignature = flow.ErrSignature
