// Package gcm has AES-256-GCM (NIST SP 800-38D) for all who seal with it: as it is, for keys that
// seal once or count their nonces, and with a random nonce in front.
package gcm

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"errors"
)

// Sizes in bytes.
const (
	KeySize   = 32
	NonceSize = 12
	TagSize   = 16
	Overhead  = NonceSize + TagSize // of a [Random]
)

var errOpen = errors.New("gcm: message does not open")

// New returns AES-256-GCM under a key of 32 bytes. It panics for another size.
func New(key []byte) cipher.AEAD {
	if len(key) != KeySize {
		panic(aes.KeySizeError(len(key)))
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		panic(err)
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		panic(err)
	}
	return aead
}

// A Random is AES-256-GCM that draws a nonce for every message and puts it in front, as Tink does.
// Nonces of 12 bytes may be drawn for a limited number of messages only, 2³² of one key. It is safe
// for concurrent use.
type Random struct{ aead cipher.AEAD }

// NewRandom is [New] with random nonces.
func NewRandom(key []byte) Random { return Random{New(key)} }

// Overhead returns [Overhead].
func (Random) Overhead() int { return Overhead }

// Seal appends the nonce, the ciphertext and the tag to dst: plaintext plus [Overhead] bytes.
func (r Random) Seal(dst, plaintext, aad []byte) []byte {
	start := len(dst)
	dst = append(dst, make([]byte, NonceSize)...)
	nonce := dst[start:]
	rand.Read(nonce)
	return r.aead.Seal(dst, nonce, plaintext, aad)
}

// Open appends the plaintext of what Seal appended to dst.
func (r Random) Open(dst, sealed, aad []byte) ([]byte, error) {
	if len(sealed) < Overhead {
		return nil, errOpen
	}
	out, err := r.aead.Open(dst, sealed[:NonceSize], sealed[NonceSize:], aad)
	if err != nil {
		return nil, errOpen
	}
	return out, nil
}
