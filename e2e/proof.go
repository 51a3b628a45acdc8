package e2e

import (
	"github.com/hopseal/hopseal/e2e/internal/signing"
	"github.com/hopseal/hopseal/keys"
)

// VerifyProof checks, for somebody who was not there, that the owner of an identity has
// sent a message: the proof is [Message.Proof], the data that of the message, and the
// identity one that lists the key it was signed with, such as the sender's of that time.
// It returns what was sent, whatever the fields of the Message said that it came with.
// An error means that the proof proves nothing.
//
// The time in the message is the sender's word, and the message is one of two ends that
// may have agreed on anything: a proof shows who said something, not that it is true.
func VerifyProof(by *keys.PublicIdentity, proof, data []byte) (Message, error) {
	return signing.VerifyProof(by, proof, data)
}
