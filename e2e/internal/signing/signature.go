package signing

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"fmt"
	"time"

	"github.com/hopseal/hopseal/e2e/internal/aside"
	"github.com/hopseal/hopseal/internal/engine"
	"github.com/hopseal/hopseal/keys"
)

// Required reports whether messages of a kind carry a signature in a session. If the session
// signs, the applications' messages do. What the sessions themselves say does not.
func Required(e *engine.Session, kind engine.Kind) bool {
	switch kind {
	case engine.KindRefusal, engine.KindStreamAbort, engine.KindStreamCancel, engine.KindStreamCredit, engine.KindStreamDone:
		return false
	}
	return e.Proof() == engine.ProofEd25519
}

// A Signature is the signature of a message, or what it takes to make it. It covers the message's
// number, so it is valid for no other message.
type Signature struct {
	Time time.Time // in the message's header

	number uint64
	key    keys.SigningKeyID
	signer keys.Signer
	input  []byte

	made []byte // with the id of the key; nil until then
}

// Prepare returns the signature for a message that is sent now under this number. [Signature.Make]
// makes it.
func Prepare(e *engine.Session, h engine.Header, body []byte, number uint64, key keys.SigningKeyID, signer keys.Signer) *Signature {
	h.Time = time.Now()
	return &Signature{Time: h.Time, number: number, key: key, signer: signer,
		input: engine.Signed(e.ID(), e.Client(), number, h.Append(nil), key, body)}
}

// Make asks the Signer. If the context ends or over is closed before it answers, Make is late, and
// the error is the context's, if it has one. Once the Signer has returned, however late, Make calls
// then, and tells it whether it was late.
func (s *Signature) Make(ctx context.Context, over <-chan struct{}, then func(late bool)) (late bool, err error) {
	signature, late, err := aside.Sign(ctx, over, s.signer, s.input, then)
	switch {
	case late || err != nil:
		return late, err
	case len(signature) != ed25519.SignatureSize:
		return false, fmt.Errorf("the Signer returned %d bytes, not an Ed25519 signature", len(signature))
	}
	s.input, s.made = nil, append(s.key[:], signature...)
	return false, nil
}

// IsFor reports whether the signature is made, for a message of this number.
func (s *Signature) IsFor(number uint64) bool {
	return s != nil && s.made != nil && s.number == number
}

// Bytes returns the signature as it is sent, or nil if it is not made.
func (s *Signature) Bytes() []byte {
	if s == nil {
		return nil
	}
	return s.made
}

// Check takes the signature off the body of a message that has come, and checks it. It copies the
// signature, because the caller may move the body over it.
func Check(e *engine.Session, h engine.Header, number uint64, signed []byte) (signature, body []byte, ok bool) {
	if len(signed) < engine.SignatureSize {
		return nil, nil, false
	}
	signature, body = signed[:engine.SignatureSize], signed[engine.SignatureSize:]
	key, by := engine.SplitSignature(signature)
	input := engine.Signed(e.ID(), !e.Client(), number, h.Append(nil), key, body)
	if !verifies(e.Stated(), h.Time, key, input, by) {
		return nil, nil, false
	}
	return bytes.Clone(signature), body, true
}
