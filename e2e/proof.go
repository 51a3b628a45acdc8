package e2e

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/hopseal/hopseal/e2e/internal/aside"
	"github.com/hopseal/hopseal/internal/engine"
	"github.com/hopseal/hopseal/keys"
)

// ErrProof is returned by [VerifyProof] for whatever does not prove anything.
var ErrProof = errors.New("e2e: this does not prove that the identity has sent this message")

// A proof, for those who were not there:
//
//	size  meaning
//	1     1, the version
//	32    the session's id
//	1     1 if the client has sent the message, else 0
//	8     the message's number
//	32    id of the key that has signed it
//	64    signature by that key of the sender
//	rest  header of the message, see engine.Header
const (
	proofVersion = 1
	proofFixed   = 1 + 32 + 1 + 8 + engine.SignatureSize
)

// VerifyProof checks, for somebody who was not there, that the owner of an identity has
// sent a message: the proof is [Message.Proof], the data that of the message, and the
// identity one that lists the key it was signed with, such as the sender's of that time.
// It returns what was sent, whatever the fields of the Message said that it came with.
// The error is [ErrProof].
//
// The time in the message is the sender's word, and the message is one of two ends that
// may have agreed on anything: a proof shows who said something, not that it is true.
func VerifyProof(by *keys.PublicIdentity, proof, data []byte) (Message, error) {
	if len(proof) < proofFixed || proof[0] != proofVersion || proof[33] > 1 {
		return Message{}, ErrProof
	}
	id, fromClient, number := [32]byte(proof[1:]), proof[33] == 1, binary.BigEndian.Uint64(proof[34:])
	key, signature := engine.SplitSignature(proof[42:proofFixed])
	header := proof[proofFixed:]
	h, size, err := engine.ParseHeader(header, "")
	if err != nil || size != len(header) || h.Kind == engine.KindRefusal || number == 0 {
		return Message{}, ErrProof
	}
	if !verifies(by, h.Time, key, engine.Signed(id, fromClient, number, header, key, data), signature) {
		return Message{}, ErrProof
	}
	return Message{Type: h.Type, Time: h.Time, ID: number, Data: data, Proof: bytes.Clone(proof)}, nil
}

// verifies reports whether the key of that name, which the identity has to list for the
// time, has signed it. No other key is tried: an identity may list many, and each costs a
// verification (A22).
func verifies(by *keys.PublicIdentity, at time.Time, name keys.SigningKeyID, signed, signature []byte) bool {
	key, listed := by.VerifyingKeyByID(name)
	primary := name == by.VerifyingKey().ID()
	return listed && (primary || key.ValidAt(at)) && key.Verify(signed, signature)
}

// signs reports whether a message is signed: those of the applications are, what the
// sessions themselves say is not.
func (s *Session) signs(kind engine.Kind) bool {
	switch kind {
	case engine.KindRefusal, engine.KindStreamAbort, engine.KindStreamCancel, engine.KindStreamCredit, engine.KindStreamDone:
		return false
	}
	return s.engine.Proof() == engine.ProofEd25519
}

// errUnsigned says that a message could be sent now, and must be signed before.
var errUnsigned = errors.New("e2e: not signed")

// sendOnce is sendNow that signs the message if it has to. The number of the message is
// signed too, so messages take turns; but nobody else waits for the Signer, which may be
// slow. If a refusal has taken the number meanwhile the message is signed again.
func (s *Session) sendOnce(ctx context.Context, m *outgoing) error {
	if !s.signs(m.Kind) {
		return s.sendNow(ctx, m)
	}
	if err := s.enter(ctx, s.signing); err != nil {
		return err
	}
	for {
		if err := s.sendNow(ctx, m); err != errUnsigned {
			s.leave(s.signing)
			return err
		}
		m.signed = s.toSign(m, s.engine.Sent()+1)
		if err := s.sign(ctx, m.signed); err != nil {
			return err
		}
	}
}

// A signed is a message's signature, or what it takes to make it.
type signed struct {
	number uint64    // of the message
	at     time.Time // that is in its header
	key    keys.SigningKeyID
	signer keys.Signer
	input  []byte

	signature []byte // with the name of the key, nil until it is made
}

// as reports whether a message is signed as the one of this number.
func (as *signed) as(number uint64) bool {
	return as != nil && as.signature != nil && as.number == number
}

func (as *signed) bytes() []byte {
	if as == nil {
		return nil
	}
	return as.signature
}

// toSign returns what it takes to sign a message as the one of this number, now.
func (s *Session) toSign(m *outgoing, number uint64) *signed {
	as := &signed{number: number, at: time.Now()}
	as.key, as.signer = s.signer()
	header := m.Header
	header.Time = as.at
	as.input = engine.Signed(s.engine.ID(), s.engine.Client(), number, header.Append(nil), as.key, m.body)
	return as
}

// sign makes a signature, and waits no longer than the context, the session and SendTimeout last. It is
// called with the turn to sign. Behind an error somebody else has that, as soon as the Signer has
// returned.
func (s *Session) sign(ctx context.Context, as *signed) error {
	limited, cancel := context.WithTimeout(ctx, s.sendTimeout)
	defer cancel()
	signature, late, err := aside.Sign(limited, s.ended, as.signer, as.input, func(late bool) {
		if late {
			s.leave(s.signing)
		}
	})
	switch {
	case late && s.over():
		return s.err
	case late && ctx.Err() != nil:
		return ctx.Err()
	case late:
		return fmt.Errorf("e2e: send: signing: the Signer has not answered for %v: see whether what holds the key works", s.sendTimeout)
	case err == nil && len(signature) != ed25519.SignatureSize:
		err = fmt.Errorf("the Signer returned %d bytes, not an Ed25519 signature", len(signature))
	}
	if err != nil {
		s.leave(s.signing)
		return fmt.Errorf("e2e: send: signing: %w", err)
	}
	as.input, as.signature = nil, append(as.key[:], signature...)
	return nil
}

// signer returns the key that the other end can check with: it knows this end's identity
// as it was told last, and keys that have been retired since are still good.
func (s *Session) signer() (keys.SigningKeyID, keys.Signer) {
	identity := s.party.cfg.Identity
	if l := s.line.Load(); l != nil {
		name := l.link.Told().VerifyingKey().ID()
		if signer, ok := identity.SignerOf(name); ok {
			return name, signer
		}
	}
	return identity.Signing()
}

// ErrSignature is part of the end of a session in which a message did not carry its
// sender's signature, although messages have to. It matches [ErrMisbehaved].
var ErrSignature = fmt.Errorf("%w: a message is not signed by its sender", ErrMisbehaved)

// checkSignature takes the signature off the body of a message.
func (s *Session) checkSignature(m *incoming) error {
	if !s.signs(m.Kind) {
		return nil
	}
	if len(m.body) >= engine.SignatureSize {
		m.signature, m.body = m.body[:engine.SignatureSize], m.body[engine.SignatureSize:]
		key, signature := engine.SplitSignature(m.signature)
		input := engine.Signed(s.engine.ID(), !s.engine.Client(), m.number, m.Append(nil), key, m.body)
		if verifies(s.engine.Stated(), m.Time, key, input, signature) {
			m.signature = bytes.Clone(m.signature) // which the body may be moved over
			return nil
		}
	}
	return s.fail(&CloseError{Remote: true, Err: ErrSignature})
}

// proof returns what a third party needs, or nil where messages are not signed.
func (s *Session) proof(m incoming) []byte {
	if m.signature == nil {
		return nil
	}
	id := s.engine.ID()
	b := append([]byte{proofVersion}, id[:]...)
	if b = append(b, 1); s.engine.Client() {
		b[33] = 0
	}
	b = binary.BigEndian.AppendUint64(b, m.number)
	return m.Append(append(b, m.signature...))
}
