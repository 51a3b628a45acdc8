// Package envelope seals one message into bytes that only the intended ends can
// read, and that nobody can alter or pass off as another's.
//
// This sends to people or services by their public identities, with the sender's
// Ed25519 proof:
//
//	s := envelope.Sealer{From: me, To: []*keys.PublicIdentity{bob}, Context: "orders"}
//	sealed, err := s.Seal(nil, message)
//
// The other end opens messages of the one sender that it expects:
//
//	o := envelope.Opener{Identity: bob, From: alice, Context: "orders", Replay: guard}
//	message, header, err := o.Open(nil, sealed)
//
// Services that share a [keys.SharedKeyset] name their parties instead, and the proof
// is an HMAC.
//
// # What is protected
//
// Nobody on the way can read the content, or change the content, the sender, the
// content type, the context, the message id, the time or the recipients. Everybody on
// the way can see all of these but the content, and can see the content's length up to
// padding: see [Inspect]. An envelope has no forward secrecy: whoever obtains a
// recipient's sealing key reads what was sealed to it. Use a session (package e2e) for
// a conversation. With a shared keyset every holder can write as any party.
//
// # What the caller does
//
// The caller says whom it expects, gives the context that both ends agree on, and
// keeps a [ReplayGuard].
//
// # The rest
//
//   - [Sealer.NewWriter] and [Opener.NewReader] take content of any size, in segments. It
//     opens only if [Writer.Finish] was called.
//   - [SealValue] and [OpenValue] take values of Go types.
//   - A [Verifier] checks proofs for a gateway that cannot read.
//   - [Sealer.Rewrap] seals a stored message again for other recipients.
//
// docs/protocol.md specifies the format. Envelopes of version 1 stay readable.
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

// Suite is a set of algorithms. The keys decide which one it is. An Opener compares the
// number on the wire with the suite of its keys, and never obeys it.
type Suite byte

const (
	// SuiteShared is a shared pair of an AEAD, XAES-256-GCM by default, and HMAC-SHA-256.
	SuiteShared Suite = 1
	// SuiteSharedSigned is the AEAD of a shared pair, with an Ed25519 proof.
	SuiteSharedSigned Suite = 2
	// SuiteRecipients is AES-256-GCM under a content key that is sealed to each
	// recipient with HPKE (X-Wing), with an Ed25519 proof.
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

// A Header is what an envelope says about itself, in the clear. [Opener.Open] returns it
// authenticated; [Inspect] does not. The sender chose the texts in it: escape them
// wherever they are shown.
type Header struct {
	Suite       Suite
	Sender      keys.Fingerprint // of the signer, zero in SuiteShared
	Party       string           // the sender's party name in SuiteShared, else ""
	SealKey     SealKeyID        // names the key that sealed the body and commits to it
	ProofKey    keys.SigningKeyID
	ID          MessageID
	Time        time.Time // to the millisecond
	ContentType string
	Context     string

	// Retired reports that the key that the message was sealed to has retired: the sender has an
	// old statement of the receiver, or an old keyset. Open sets it; it is not part of the message.
	Retired bool
}
