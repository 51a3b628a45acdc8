package keys

import (
	"errors"

	"github.com/hopseal/hopseal/internal/gcm"
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

var errOpen = errors.New("keys: message does not open")

// pairAEAD seals and opens with the first key of a pair. AES-256-GCM may draw nonces for a limited
// number of messages only, see [ErrSealLimit].
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
