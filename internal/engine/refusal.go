package engine

import (
	"crypto/ecdh"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"

	"github.com/hopseal/hopseal/internal/hpke"
	"github.com/hopseal/hopseal/internal/label"
	"github.com/hopseal/hopseal/internal/strict"
	"github.com/hopseal/hopseal/keys"
)

// A server answers an r1 that it does not accept with a refusal. It shares no secret with
// the client, so it signs the refusal. It also encrypts the refusal to the share in r1, so
// that nobody on the way learns who the server is:
//
//	size      meaning                                                    seen by a hop
//	1         zero                                                       yes
//	32        HPKE encapsulation                                         yes
//	variable  HPKE ciphertext of the padded plaintext without fields     length, in buckets
//
// The data of the plaintext is
//
//	type     meaning
//	array    of 2 values
//	bin      the server's public identity as it is now
//	bin, 64  Ed25519 signature by the identity's primary signing key
//
// The signature covers this very r1, whose share is new. An attacker who has recorded the
// refusal of another r1, or has obtained one for an r1 of its own, cannot use it against
// this client.
const (
	refusalHead    = 1
	minRefusalSize = refusalHead + hpke.Overhead + minBucket
	refusalValues  = 2
)

// A Refusal is a refusal that a server is about to send. The driver signs [Refusal.ToSign]
// with the primary key of the identity, and gives the signature to [Refusal.Frame].
type Refusal struct {
	to        *ecdh.PublicKey
	ephemeral *ecdh.PrivateKey
	first     [hashSize]byte // H(r1)
	identity  []byte
}

// NewRefusal returns the refusal of an r1, by the identity in cfg.
func NewRefusal(cfg Config, r1 []byte) (*Refusal, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	if len(r1) != r1Size {
		return nil, &Error{ReasonSize, ErrResume}
	}
	to, err := ecdh.X25519().NewPublicKey(r1[hashSize : hashSize+shareSize])
	if err != nil {
		return nil, &Error{ReasonKeyShare, ErrResume}
	}
	ephemeral, err := cfg.random.share()
	if err != nil {
		return nil, err
	}
	return &Refusal{to, ephemeral, sha256.Sum256(r1), cfg.Identity.Bytes()}, nil
}

// ToSign returns the message to sign. It starts with a label.
func (r *Refusal) ToSign() []byte {
	return signedRefusal(r.first, r.ephemeral.PublicKey().Bytes(), r.identity)
}

// Frame returns the frame to send. It fails if the share in r1 has low order: nothing can
// be encrypted to such a share.
func (r *Refusal) Frame(signature []byte) ([]byte, error) {
	data := strict.AppendArray(nil, refusalValues)
	data = strict.AppendBin(strict.AppendBin(data, r.identity), signature)
	sealed, err := hpke.SealX25519(r.ephemeral, r.to, refusalInfo(r.first), appendPadded(nil, nil, data))
	if err != nil {
		return nil, &Error{ReasonKeyShare, ErrResume}
	}
	return append(make([]byte, refusalHead), sealed...), nil
}

func refusalInfo(first [hashSize]byte) []byte { return label.ResumeRefusal.With(first[:]) }

func signedRefusal(first [hashSize]byte, enc, identity []byte) []byte {
	encHash, identityHash := sha256.Sum256(enc), sha256.Sum256(identity)
	return label.ResumeRefusalSign.With(first[:], encHash[:], identityHash[:])
}

// receiveRefusal ends a client's attempt. It returns [ErrUnknownSession] if the server has
// signed the refusal. Otherwise anybody may have made the frame, and the error is
// [ErrResume].
func (r *Resume) receiveRefusal(frame []byte) (Step, error) {
	if reason := r.checkRefusal(frame); reason != 0 {
		return r.fail(reason)
	}
	return r.end(ErrUnknownSession)
}

func (r *Resume) checkRefusal(frame []byte) Reason {
	if len(frame) < minRefusalSize {
		return ReasonSize
	}
	if frame[0] != 0 {
		return ReasonEncoding
	}
	sealed := frame[refusalHead:]
	plain, err := hpke.OpenX25519(r.exchange.share.key, refusalInfo(r.first), sealed)
	if err != nil {
		return ReasonCipher
	}
	_, data, ok := parsePadded(plain, 0)
	if !ok {
		return ReasonEncoding
	}
	in := strict.NewReader(data)
	in.Array(refusalValues)
	identity := in.Bin(1, keys.MaxPublicSize)
	signature := in.Bin(ed25519.SignatureSize, ed25519.SignatureSize)
	if in.Done() != nil {
		return ReasonEncoding
	}
	if reason := r.identify(identity); reason != 0 {
		return reason
	}
	if !r.peer.VerifyingKey().Verify(signedRefusal(r.first, sealed[:hpke.EncapSize], identity), signature) {
		return ReasonSignature
	}
	return 0
}

// share makes an X25519 key.
func (r random) share() (*ecdh.PrivateKey, error) {
	source := r.ephemeral
	if source == nil {
		source = rand.Reader
	}
	x := new(x25519)
	_, err := x.GenerateKeypair(source)
	return x.key, err
}
