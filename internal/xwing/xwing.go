// Package xwing seals short secrets to public keys: single-shot HPKE in base mode
// (RFC 9180, section 6.1) with the KEM X-Wing (draft-connolly-cfrg-xwing-kem,
// HPKE's 0x647a), HKDF-SHA-256 and AES-256-GCM.
//
// Natively that is crypto/hpke. The browser build composes the same of crypto/mlkem
// and crypto/ecdh: crypto/hpke refers to every curve that it knows, which would
// be a twentieth of what a page loads. The composition compiles natively too, and
// a test holds the two against each other in both directions.
package xwing

import "errors"

// Sizes in bytes.
const (
	SeedSize   = 32
	PublicSize = 1184 + 32 // ML-KEM-768 encapsulation key, X25519 key
	EncapSize  = 1088 + 32 // ML-KEM-768 ciphertext, X25519 key
	Overhead   = EncapSize + 16
)

var (
	errKey  = errors.New("xwing: not a key")
	errOpen = errors.New("xwing: does not open")
)
