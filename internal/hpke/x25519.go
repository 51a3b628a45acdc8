package hpke

import (
	"crypto/ecdh"
	"errors"
)

// What SealX25519 adds to a plaintext, in bytes: EncapSize in front, and a tag.
const (
	EncapSize = 32
	Overhead  = EncapSize + 16
)

const (
	x25519KEM   Suite = "KEM\x00\x20"
	x25519Suite Suite = "HPKE\x00\x20\x00\x01\x00\x02"
)

var errOpen = errors.New("hpke: does not open")

// SealX25519 seals a plaintext to a public key, with an ephemeral key that must be used
// for this once, and whose public half stands in front. The associated data is empty. It
// fails for a public key of low order.
func SealX25519(ephemeral *ecdh.PrivateKey, to *ecdh.PublicKey, info, plaintext []byte) ([]byte, error) {
	secret, err := ephemeral.ECDH(to)
	if err != nil {
		return nil, err
	}
	enc := ephemeral.PublicKey().Bytes()
	aead, nonce := x25519Suite.Schedule(sharedX25519(secret, enc, to), info)
	return aead.Seal(enc, nonce, plaintext, nil), nil
}

// OpenX25519 opens what SealX25519 sealed with the same info. There is one error.
func OpenX25519(key *ecdh.PrivateKey, info, sealed []byte) ([]byte, error) {
	if len(sealed) < Overhead {
		return nil, errOpen
	}
	enc := sealed[:EncapSize]
	ephemeral, err := ecdh.X25519().NewPublicKey(enc)
	if err != nil {
		return nil, errOpen
	}
	secret, err := key.ECDH(ephemeral)
	if err != nil {
		return nil, errOpen
	}
	aead, nonce := x25519Suite.Schedule(sharedX25519(secret, enc, key.PublicKey()), info)
	plaintext, err := aead.Open(nil, nonce, sealed[EncapSize:], nil)
	if err != nil {
		return nil, errOpen
	}
	return plaintext, nil
}

// sharedX25519 is ExtractAndExpand, section 4.1.
func sharedX25519(secret, enc []byte, to *ecdh.PublicKey) []byte {
	prk := x25519KEM.extract(nil, "eae_prk", secret)
	return x25519KEM.expand(prk, "shared_secret", append(enc[:EncapSize:EncapSize], to.Bytes()...), 32)
}
