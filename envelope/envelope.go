// Package envelope seals one message into bytes that only the intended ends can
// read, and that nobody can alter or pass off as another's.
//
// To send to people or services by their public identities, with the sender's
// Ed25519 proof:
//
//	s := envelope.Sealer{From: me, To: []*keys.PublicIdentity{bob}, Context: "orders"}
//	sealed, err := s.Seal(nil, message)
//
// and at the other end, from the one sender that is expected:
//
//	o := envelope.Opener{Identity: bob, From: alice, Context: "orders", Replay: guard}
//	message, header, err := o.Open(nil, sealed)
//
// Services that share a [keys.SharedKeyset] name their parties instead, and prove
// with HMAC.
//
// Content of any size goes through [Sealer.NewWriter] and [Opener.NewReader] in
// segments, and opens only if [Writer.Finish] was called; values of Go types through [SealValue] and [OpenValue]; a gateway that
// cannot read checks proofs with a [Verifier]; [Sealer.Rewrap] seals a stored message
// again for other recipients; [Inspect] shows what everybody on the way sees.
//
// What is protected: content, authenticity of the sender, content type, context,
// message id, time and recipients. What is not: all of these but the content are
// visible on the way, and so is the content's length up to padding (see
// [Inspect]). An envelope has no forward secrecy: who obtains a recipient's
// sealing key reads what was sealed to it. Use a session (package e2e) for a
// conversation. With a shared keyset every holder can write as any party.
//
// What the caller must do: say whom it expects, give the context that both ends
// agree on, and keep a [ReplayGuard].
//
// The format is specified in docs/protocol.md. Envelopes of version 1 stay
// readable.
package envelope

import (
	"crypto/rand"
	"encoding/hex"
	"time"

	"github.com/hopseal/hopseal/keys"
)

// MessageID names one sealed message: 16 random bytes.
type MessageID [16]byte

func (id MessageID) String() string { return hex.EncodeToString(id[:]) }

func newMessageID() (id MessageID) {
	rand.Read(id[:]) // never fails: crypto/rand
	return id
}

// SealKeyID names the key that sealed a body, and commits to it: a
// [keys.SharedKeyID] in the shared suites, else the hash of a content key.
type SealKeyID [32]byte

// Suite is a set of algorithms. It follows from the keys; the number on the wire
// is compared with what the keys are for, never obeyed.
type Suite byte

const (
	// SuiteShared: a shared pair of an AEAD, XAES-256-GCM by default, and HMAC-SHA-256.
	SuiteShared Suite = 1
	// SuiteSharedSigned: the AEAD of a shared pair, Ed25519 proof.
	SuiteSharedSigned Suite = 2
	// SuiteRecipients: AES-256-GCM under a content key that is sealed to each
	// recipient with HPKE (X-Wing), Ed25519 proof.
	SuiteRecipients Suite = 3
)

func (s Suite) String() string {
	switch s {
	case SuiteShared:
		return "shared, HMAC-SHA-256"
	case SuiteSharedSigned:
		return "shared, Ed25519"
	case SuiteRecipients:
		return "X-Wing recipients, Ed25519"
	}
	return "unknown"
}

// Limits.
const (
	MaxRecipients      = 1000
	MaxPartySize       = 128  // bytes of UTF-8
	MaxContentTypeSize = 128  // bytes of UTF-8
	MaxContextSize     = 1024 // bytes of UTF-8
)

// A Header is what an envelope says about itself, in the clear. After
// [Opener.Open] it is authenticated; from [Inspect] it is not. Texts in it were
// chosen by the sender: escape them wherever they are shown.
type Header struct {
	Suite       Suite
	Sender      keys.Fingerprint // of the signer, zero in SuiteShared
	Party       string           // the sender's party name, "" but in SuiteShared
	SealKey     SealKeyID        // names the key that sealed the body and commits to it
	ProofKey    keys.SigningKeyID
	ID          MessageID
	Time        time.Time // to the millisecond
	ContentType string
	Context     string

	// Retired is not part of the message: Open says by it that the key has retired that the message
	// was sealed to. The sender's statement of the receiver, or the keyset, is old.
	Retired bool
}
