package keys

import (
	"crypto/ed25519"
	"errors"
	"fmt"
	"slices"
)

// ErrPublicKey is wrapped by every error about a bare public key that comes
// from outside.
var ErrPublicKey = errors.New("keys: not an acceptable Ed25519 public key")

func publicKeyError(what string) error { return fmt.Errorf("%w: %s", ErrPublicKey, what) }

// RootKey returns the root's public key, 32 bytes.
func (p *PublicIdentity) RootKey() ed25519.PublicKey { return slices.Clone(p.root[:]) }

// PublicKey returns the 32-byte key, or nil for the zero VerifyingKey.
func (k VerifyingKey) PublicKey() ed25519.PublicKey {
	if k.id == (SigningKeyID{}) {
		return nil
	}
	return slices.Clone(k.public[:])
}

// RootFingerprint returns the fingerprint of the identity that has this root, for
// trust.Pinned.
func RootFingerprint(root ed25519.PublicKey) (Fingerprint, error) {
	if checkEd25519(root) != nil {
		return Fingerprint{}, publicKeyError("it is weak or has another size")
	}
	return fingerprintOf(root), nil
}
