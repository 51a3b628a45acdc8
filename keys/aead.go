package keys

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"errors"

	"github.com/hopseal/hopseal/internal/keyset"
	"github.com/hopseal/hopseal/internal/xaes"
)

// The types of the two kinds of pairs with their parameters, as they enter the
// pair's id: one pair of key bytes has two ids, and neither names the other kind
// (A24).
const (
	xaesPairType = "XAesGcmKey salt 12\x00HmacKey SHA256 32\x00"
	gcmPairType  = "AesGcmKey 32\x00HmacKey SHA256 32\x00"
)

// pairAEAD is the half of a pair that seals.
type pairAEAD interface {
	Seal(dst, plaintext, aad []byte) []byte
	Open(dst, sealed, aad []byte) ([]byte, error)
	Overhead() int
}

// newAEAD returns the AEAD of a 32-byte key, and the pair's type.
func newAEAD(kind keyset.Type, key []byte) (pairAEAD, string, error) {
	if kind == keyset.AESGCM {
		a, err := newGCM(key)
		return a, gcmPairType, err
	}
	a, err := xaes.New(key)
	return a, xaesPairType, err
}

const gcmNonceSize = 12

var errOpen = errors.New("keys: message does not open")

// gcm is AES-256-GCM (NIST SP 800-38D) as Tink has it: a random nonce stands before
// the ciphertext. Nonces of 12 bytes may be drawn for a limited number of messages
// only, see [ErrSealLimit].
type gcm struct{ cipher cipher.AEAD }

func newGCM(key []byte) (*gcm, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	c, err := cipher.NewGCM(block)
	return &gcm{c}, err
}

func (g *gcm) Overhead() int { return gcmNonceSize + g.cipher.Overhead() }

func (g *gcm) Seal(dst, plaintext, aad []byte) []byte {
	start := len(dst)
	dst = append(dst, make([]byte, gcmNonceSize)...)
	nonce := dst[start:]
	rand.Read(nonce)
	return g.cipher.Seal(dst, nonce, plaintext, aad)
}

func (g *gcm) Open(dst, sealed, aad []byte) ([]byte, error) {
	if len(sealed) < g.Overhead() {
		return nil, errOpen
	}
	out, err := g.cipher.Open(dst, sealed[:gcmNonceSize], sealed[gcmNonceSize:], aad)
	if err != nil {
		return nil, errOpen
	}
	return out, nil
}
