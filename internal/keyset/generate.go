package keyset

import (
	"crypto/ed25519"
	"crypto/hpke"
	"crypto/rand"
	"encoding/binary"
	"slices"
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
		private, err := hpke.MLKEM768X25519().NewPrivateKey(seed)
		if err != nil {
			return nil, err
		}
		return private.PublicKey().Bytes(), nil
	case XAESGCM, HMAC:
		return nil, nil
	}
	return nil, ErrMalformed
}

// Add returns the keyset with one more key, new, enabled and not primary, and
// the key's id.
func (k Keyset) Add(kind Type) (Keyset, uint32, error) {
	for {
		more, err := Generate(kind)
		if err != nil {
			return Keyset{}, 0, err
		}
		if k.index(more.Primary) < 0 {
			return Keyset{Primary: k.Primary, Keys: append(slices.Clone(k.Keys), more.Keys[0])}, more.Primary, nil
		}
	}
}

// Promote makes an enabled key the primary.
func (k Keyset) Promote(id uint32) (Keyset, error) {
	if i := k.index(id); i < 0 || k.Keys[i].Status != Enabled {
		return Keyset{}, ErrState
	}
	return Keyset{Primary: id, Keys: k.Keys}, nil
}

// Disable takes a key that is not primary out of use.
func (k Keyset) Disable(id uint32) (Keyset, error) {
	i := k.index(id)
	if i < 0 || id == k.Primary || k.Keys[i].Status != Enabled {
		return Keyset{}, ErrState
	}
	keys := slices.Clone(k.Keys)
	keys[i].Status = Disabled
	return Keyset{Primary: k.Primary, Keys: keys}, nil
}

// Delete removes a key that is not primary.
func (k Keyset) Delete(id uint32) (Keyset, error) {
	i := k.index(id)
	if i < 0 || id == k.Primary {
		return Keyset{}, ErrState
	}
	return Keyset{Primary: k.Primary, Keys: slices.Delete(slices.Clone(k.Keys), i, i+1)}, nil
}

func (k Keyset) index(id uint32) int {
	return slices.IndexFunc(k.Keys, func(key Key) bool { return key.ID == id })
}
