package keys

import (
	"errors"

	"github.com/hopseal/hopseal/internal/gcm"
	"github.com/hopseal/hopseal/internal/keyset"
	"github.com/hopseal/hopseal/internal/xaes"
)

// The type of each kind of pair, with its parameters, is part of a pair's id. So the same key bytes
// have two ids, one for each kind, and neither id names a pair of the other kind (A24).
const (
	xaesPairType = "XAesGcmKey salt 12\x00HmacKey SHA256 32\x00"
	gcmPairType  = "AesGcmKey 32\x00HmacKey SHA256 32\x00"
)

var errOpen = errors.New("keys: message does not open")

// pairAEAD seals and opens with the first key of a pair. AES-256-GCM draws its nonces at random, and
// may do so for a limited number of messages only, see [ErrSealLimit].
type pairAEAD interface {
	Seal(dst, plaintext, aad []byte) []byte
	Open(dst, sealed, aad []byte) ([]byte, error)
	Overhead() int
}

// newAEAD returns the AEAD of a 32-byte key, and the pair's type.
func newAEAD(kind keyset.Type, key []byte) (pairAEAD, string, error) {
	if kind == keyset.AESGCM {
		return gcm.NewRandom(key), gcmPairType, nil
	}
	a, err := xaes.New(key)
	return a, xaesPairType, err
}
