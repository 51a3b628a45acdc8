//go:build !js

package xwing

import "crypto/hpke"

// PrivateKey is the private half, made from a seed. It is safe for concurrent use.
type PrivateKey struct{ key hpke.PrivateKey }

// NewPrivateKey expands a seed of [SeedSize] bytes.
func NewPrivateKey(seed []byte) (*PrivateKey, error) {
	key, err := hpke.MLKEM768X25519().NewPrivateKey(seed)
	if err != nil {
		return nil, errKey
	}
	return &PrivateKey{key}, nil
}

// PublicKey returns the public half, [PublicSize] bytes.
func (k *PrivateKey) PublicKey() []byte { return k.key.PublicKey().Bytes() }

// Open opens what [PublicKey.Seal] sealed with the same info.
func (k *PrivateKey) Open(info, sealed []byte) ([]byte, error) {
	plaintext, err := hpke.Open(k.key, hpke.HKDFSHA256(), hpke.AES256GCM(), info, sealed)
	if err != nil {
		return nil, errOpen
	}
	return plaintext, nil
}

// PublicKey is the public half. It is safe for concurrent use.
type PublicKey struct{ key hpke.PublicKey }

// NewPublicKey reads a public half of [PublicSize] bytes and makes the modulus
// check of FIPS 203, section 7.2.
func NewPublicKey(public []byte) (*PublicKey, error) {
	key, err := hpke.MLKEM768X25519().NewPublicKey(public)
	if err != nil {
		return nil, errKey
	}
	return &PublicKey{key}, nil
}

// Seal seals a plaintext, [Overhead] bytes more. The associated data is empty.
func (k *PublicKey) Seal(info, plaintext []byte) ([]byte, error) {
	return hpke.Seal(k.key, hpke.HKDFSHA256(), hpke.AES256GCM(), info, plaintext)
}
