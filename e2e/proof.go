package e2e

import (
	"github.com/hopseal/hopseal/e2e/internal/signing"
	"github.com/hopseal/hopseal/keys"
)

// VerifyProof checks for a third party that the owner of an identity has sent a message. Give it the
// message's [Message.Proof] and Data, and an identity that lists the key that made the signature, such as
// the sender's of that time. It returns the message with the fields that the sender has signed, whatever
// fields the proof was handed over with. An error means that the proof proves nothing.
//
// The time in the message is what the sender says, and the two ends may have agreed on anything: a proof
// shows who said something, not that it is true.
func VerifyProof(by *keys.PublicIdentity, proof, data []byte) (Message, error) {
	return signing.VerifyProof(by, proof, data)
}
