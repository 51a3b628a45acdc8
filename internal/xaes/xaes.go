// Package xaes implements XAES-256-GCM (https://c2sp.org/XAES-256-GCM):
// AES-256-GCM with a 24-byte nonce, of which the first half derives a key for
// this one message and the second half is its nonce. Random nonces then have no
// practical limit. Tink's X_AES_GCM keys with a 12-byte salt give the same bytes.
package xaes

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"errors"
	"sync"
)

// Sizes in bytes.
const (
	KeySize   = 32
	NonceSize = 24
	Overhead  = NonceSize + 16
)

var errOpen = errors.New("xaes: message does not open")

// AEAD seals and opens under one key. It is immutable and safe for concurrent
// use.
type AEAD struct {
	block  cipher.Block
	subkey [aes.BlockSize]byte // K1 of CMAC, NIST SP 800-38B section 6.1
}

// New returns the AEAD of a 32-byte key.
func New(key []byte) (*AEAD, error) {
	if len(key) != KeySize {
		return nil, aes.KeySizeError(len(key))
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	a := &AEAD{block: block}
	block.Encrypt(a.subkey[:], a.subkey[:])
	var msb byte
	for i := len(a.subkey) - 1; i >= 0; i-- {
		msb, a.subkey[i] = a.subkey[i]>>7, a.subkey[i]<<1|msb
	}
	a.subkey[len(a.subkey)-1] ^= msb * 0x87 // without a branch on the secret
	return a, nil
}

// messageKeys holds room for keys of single messages. A local array would move to
// the heap for every message, where keys would pile up.
var messageKeys = sync.Pool{New: func() any { return new([KeySize]byte) }}

// message returns the AES-256-GCM of one nonce: key halves are CMACs of one
// block each, so CMAC comes down to one encryption.
func (a *AEAD) message(nonce []byte) cipher.AEAD {
	key := messageKeys.Get().(*[KeySize]byte)
	defer messageKeys.Put(key)
	defer clear(key[:])
	a.MessageKey(key, nonce)
	c, err := aes.NewCipher(key[:])
	if err != nil {
		panic(err) // 32 bytes are always a key
	}
	gcm, err := cipher.NewGCM(c)
	if err != nil {
		panic(err)
	}
	return gcm
}

// MessageKey derives the AES-256-GCM key of one nonce, of which the last 12 bytes are left
// for GCM. The key must be zeros.
func (a *AEAD) MessageKey(key *[KeySize]byte, nonce []byte) {
	for half := range 2 {
		block := key[half*aes.BlockSize:][:aes.BlockSize]
		block[1], block[2] = byte(half+1), 'X'
		copy(block[4:], nonce[:12])
		for i, k := range a.subkey {
			block[i] ^= k
		}
		a.block.Encrypt(block, block)
	}
}

// Overhead returns [Overhead].
func (a *AEAD) Overhead() int { return Overhead }

// Seal appends a random nonce, the ciphertext and the tag to dst: plaintext plus
// [Overhead] bytes.
func (a *AEAD) Seal(dst, plaintext, aad []byte) []byte {
	start := len(dst)
	dst = append(dst, make([]byte, NonceSize)...)
	nonce := dst[start:]
	rand.Read(nonce)
	return a.message(nonce).Seal(dst, nonce[12:], plaintext, aad)
}

// Open appends the plaintext of what Seal appended to dst.
func (a *AEAD) Open(dst, sealed, aad []byte) ([]byte, error) {
	if len(sealed) < Overhead {
		return nil, errOpen
	}
	nonce := sealed[:NonceSize]
	out, err := a.message(nonce).Open(dst, nonce[12:], sealed[NonceSize:], aad)
	if err != nil {
		return nil, errOpen
	}
	return out, nil
}
