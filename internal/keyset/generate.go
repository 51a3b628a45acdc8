package keyset

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/binary"

	"github.com/hopseal/hopseal/internal/xwing"
)

// Generate returns a keyset with one new key, enabled, primary and with Tink's
// prefix: what Tink's manager makes.
func Generate(kind Type) (Keyset, error) {
	key := Key{Type: kind, Status: Enabled, Prefix: PrefixTink, Secret: make([]byte, secretSize)}
	rand.Read(key.Secret) // never fails: crypto/rand
	var err error
	if key.Public, err = PublicOf(kind, key.Secret); err != nil {
		return Keyset{}, err
	}
	for key.ID == 0 {
		var id [4]byte
		rand.Read(id[:])
		key.ID = binary.BigEndian.Uint32(id[:])
	}
	return Keyset{Primary: key.ID, Keys: []Key{key}}, nil
}

// PublicOf returns the public key that belongs to a 32-byte seed, nil for the
// symmetric types.
func PublicOf(kind Type, seed []byte) ([]byte, error) {
	switch kind {
	case Ed25519:
		return ed25519.NewKeyFromSeed(seed).Public().(ed25519.PublicKey), nil
	case XWing:
		private, err := xwing.NewPrivateKey(seed)
		if err != nil {
			return nil, err
		}
		return private.PublicKey(), nil
	case XAESGCM, HMAC, AESGCM:
		return nil, nil
	}
	return nil, ErrMalformed
}
