package xwing

import (
	"crypto/ecdh"
	"crypto/mlkem"
	"crypto/rand"
	"crypto/sha3"

	"github.com/hopseal/hopseal/internal/hpke"
)

const suite hpke.Suite = "HPKE\x64\x7a\x00\x01\x00\x02"

const (
	xwingLabel   = `\./` + `/^\` // draft-connolly-cfrg-xwing-kem, section 5.3
	ciphertextPQ = mlkem.CiphertextSize768
)

type composedPrivate struct {
	pq *mlkem.DecapsulationKey768
	t  *ecdh.PrivateKey
}

// newComposedPrivate expands a seed of 32 bytes as section 5.2 says.
func newComposedPrivate(seed []byte) (*composedPrivate, error) {
	if len(seed) != SeedSize {
		return nil, errKey
	}
	expanded := sha3.SumSHAKE256(seed, mlkem.SeedSize+32)
	pq, err := mlkem.NewDecapsulationKey768(expanded[:mlkem.SeedSize])
	if err != nil {
		return nil, errKey
	}
	t, err := ecdh.X25519().NewPrivateKey(expanded[mlkem.SeedSize:])
	if err != nil {
		return nil, errKey
	}
	return &composedPrivate{pq, t}, nil
}

// PublicKey returns the public half.
func (k *composedPrivate) PublicKey() []byte {
	return append(k.pq.EncapsulationKey().Bytes(), k.t.PublicKey().Bytes()...)
}

// Open opens what Seal sealed with the same info.
func (k *composedPrivate) Open(info, sealed []byte) ([]byte, error) {
	if len(sealed) < EncapSize {
		return nil, errOpen
	}
	ctPQ, ctT := sealed[:ciphertextPQ], sealed[ciphertextPQ:EncapSize]
	ssPQ, err := k.pq.Decapsulate(ctPQ)
	if err != nil {
		return nil, errOpen
	}
	ephemeral, err := ecdh.X25519().NewPublicKey(ctT)
	if err != nil {
		return nil, errOpen
	}
	ssT, err := k.t.ECDH(ephemeral)
	if err != nil {
		return nil, errOpen
	}
	aead, nonce := suite.Schedule(combine(ssPQ, ssT, ctT, k.t.PublicKey().Bytes()), info)
	plaintext, err := aead.Open(nil, nonce, sealed[EncapSize:], nil)
	if err != nil {
		return nil, errOpen
	}
	return plaintext, nil
}

type composedPublic struct {
	pq *mlkem.EncapsulationKey768
	t  *ecdh.PublicKey
}

func newComposedPublic(public []byte) (*composedPublic, error) {
	if len(public) != PublicSize {
		return nil, errKey
	}
	pq, err := mlkem.NewEncapsulationKey768(public[:mlkem.EncapsulationKeySize768])
	if err != nil {
		return nil, errKey
	}
	t, err := ecdh.X25519().NewPublicKey(public[mlkem.EncapsulationKeySize768:])
	if err != nil {
		return nil, errKey
	}
	return &composedPublic{pq, t}, nil
}

// Seal seals a plaintext, Overhead bytes more.
func (k *composedPublic) Seal(info, plaintext []byte) ([]byte, error) {
	ephemeral, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	ssT, err := ephemeral.ECDH(k.t)
	if err != nil {
		return nil, errKey
	}
	ssPQ, ctPQ := k.pq.Encapsulate()
	ctT := ephemeral.PublicKey().Bytes()
	aead, nonce := suite.Schedule(combine(ssPQ, ssT, ctT, k.t.Bytes()), info)
	return aead.Seal(append(ctPQ, ctT...), nonce, plaintext, nil), nil
}

// combine is X-Wing's combiner, section 5.3.
func combine(ssPQ, ssT, ctT, pkT []byte) []byte {
	h := sha3.New256()
	h.Write(ssPQ)
	h.Write(ssT)
	h.Write(ctT)
	h.Write(pkT)
	h.Write([]byte(xwingLabel))
	return h.Sum(nil)
}
