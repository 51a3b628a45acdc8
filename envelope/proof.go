package envelope

import (
	"fmt"

	"github.com/hopseal/hopseal/internal/label"
	"github.com/hopseal/hopseal/internal/strict"
	"github.com/hopseal/hopseal/keys"
)

// A proofKind has the two labels of one kind of proof: one for signatures and one for
// HMACs, so that neither ever passes for the other.
type proofKind struct{ signed, keyed label.Label }

var envelopeProof = proofKind{label.EnvelopeProof, label.EnvelopeProofKeyed}

func (k proofKind) label(s Suite) label.Label {
	if s == SuiteShared {
		return k.keyed
	}
	return k.signed
}

// A prover makes the proofs of one message.
type prover struct {
	pair   *keys.SharedKey // in SuiteShared
	signer keys.Signer     // else
}

// append appends the bare proof of an input, 32 or 64 bytes.
func (p prover) append(dst, input []byte) ([]byte, error) {
	if p.pair != nil {
		return p.pair.MAC(dst, input), nil
	}
	sig, err := p.signer.Sign(input)
	if err != nil {
		return nil, fmt.Errorf("envelope: signing: %w", err)
	}
	if len(sig) != signSize {
		return nil, fmt.Errorf("envelope: the Signer returned %d bytes, not an Ed25519 signature", len(sig))
	}
	return append(dst, sig...), nil
}

// appendBin appends the proof as a byte string.
func (p prover) appendBin(dst []byte, s Suite, input []byte) ([]byte, error) {
	return p.append(strict.AppendBinHead(dst, s.proofSize()), input)
}

// A checker verifies the proofs of one message. It was made for that message's header.
type checker struct {
	pair *keys.SharedKey // in SuiteShared
	key  keys.VerifyingKey
}

func (c checker) verify(input, proof []byte) bool {
	if c.pair != nil {
		return c.pair.VerifyMAC(input, proof)
	}
	return c.key.Verify(input, proof)
}

// authenticate compares the header with what the Opener expects, and returns the checker of
// the message's proofs.
func (o *Opener) authenticate(want Suite, h *Header) (checker, error) {
	switch {
	case h.Suite != want:
		return checker{}, fail(ReasonSuite)
	case want == SuiteShared:
		return o.authenticateShared(h)
	case o.Own:
		return authenticateSigned(o.Identity.Public(), o.Context, h)
	case h.Sender == o.Identity.Fingerprint():
		return checker{}, fail(ReasonReflected)
	}
	return authenticateSigned(o.From, o.Context, h)
}

func authenticateSigned(from *keys.PublicIdentity, context string, h *Header) (checker, error) {
	key, known := from.VerifyingKeyByID(h.ProofKey)
	switch {
	case h.Sender != from.Fingerprint():
		return checker{}, fail(ReasonSender)
	case h.Context != context:
		return checker{}, fail(ReasonContext)
	case !h.Time.Before(from.Expires()): // it may be signed by a key that a later statement lists
		return checker{}, fail(ReasonExpired)
	case !known && !h.Time.Before(from.Issued()): // it may have been made since
		return checker{}, fail(ReasonUnlisted)
	case !known || !key.ValidAt(h.Time):
		return checker{}, fail(ReasonProof)
	}
	return checker{key: key}, nil
}

func (o *Opener) authenticateShared(h *Header) (checker, error) {
	pair, known := o.Shared.Key(keys.SharedKeyID(h.SealKey))
	switch {
	case h.Party == o.Party:
		return checker{}, fail(ReasonReflected)
	case h.Party != o.FromParty:
		return checker{}, fail(ReasonSender)
	case h.Context != o.Context:
		return checker{}, fail(ReasonContext)
	case !known:
		return checker{}, fail(ReasonNotForUs)
	}
	return checker{pair: pair}, nil
}
