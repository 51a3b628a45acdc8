// Package keyset reads and writes cleartext Tink keysets in Tink's own binary
// form, without Tink and without protobuf, for the key types that Hopseal uses.
//
// It exists for the browser, where Tink and protobuf would cost 0.7 to 1 MB of
// brotli. Natively the keys package uses Tink itself; a test there holds the two
// against each other in both directions. The bytes are the protobuf messages
// Keyset, KeyData and the key formats of tink-crypto/tink-go/v2/proto, in the
// order of field numbers and without unknown or repeated fields: what Tink
// writes, and the only encoding that [Parse] accepts.
package keyset

import (
	"errors"
	"slices"
)

// ErrMalformed is returned for bytes that are not a keyset this package knows.
var ErrMalformed = errors.New("keyset: not a Tink keyset of a known key type")

// Type is a kind of key with its parameters.
type Type byte

// The key types in use. Parameters are part of the type: each has one set.
const (
	Ed25519 Type = iota + 1 // private: 32-byte seed, 32-byte public key
	XWing                   // private: 32-byte seed, 1,216-byte public key; HPKE with HKDF-SHA-256, AES-256-GCM
	XAESGCM                 // 32-byte key, 12-byte salt
	HMAC                    // 32-byte key, SHA-256, 32-byte tag
	AESGCM                  // 32-byte key; 12-byte nonce, 16-byte tag
)

// Status is a key's place in Tink's life cycle. The values are Tink's. A key that
// was destroyed is not in the keyset any more: Tink does not load sets that still
// hold its id.
type Status byte

const (
	Enabled  Status = 1
	Disabled Status = 2
)

// Prefix is Tink's output prefix type. The values are Tink's.
type Prefix byte

const (
	PrefixTink    Prefix = 1
	PrefixRaw     Prefix = 3
	PrefixCrunchy Prefix = 4
)

// Key is one entry of a keyset. Secret is the private key, seed or symmetric
// key, 32 bytes for every type; Public is empty for symmetric keys.
type Key struct {
	ID     uint32
	Type   Type
	Status Status
	Prefix Prefix
	Secret []byte
	Public []byte
}

// Keyset is a list of keys of one type with a primary among them.
type Keyset struct {
	Primary uint32
	Keys    []Key
}

// MaxKeys is the largest number of keys in a keyset.
const MaxKeys = 512

// check refuses what would make a keyset ambiguous: no enabled primary, ids
// that repeat (A23), more than one type.
func (k Keyset) check() error {
	if len(k.Keys) == 0 || len(k.Keys) > MaxKeys {
		return ErrMalformed
	}
	seen := make([]uint32, 0, len(k.Keys))
	var kind Type
	primary := false
	for _, key := range k.Keys {
		if slices.Contains(seen, key.ID) {
			return ErrMalformed
		}
		seen = append(seen, key.ID)
		primary = primary || key.ID == k.Primary && key.Status == Enabled
		if kind != 0 && key.Type != kind {
			return ErrMalformed
		}
		kind = key.Type
	}
	if !primary {
		return ErrMalformed
	}
	return nil
}
