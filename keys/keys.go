// Package keys holds identities, the Tink keysets that belong to them, and the
// decision whom to trust.
//
// An [Identity] is a long-term Ed25519 root key and, under it, two Tink keysets
// that rotate: one signs (Ed25519), one opens what others sealed to it (X-Wing,
// that is ML-KEM-768 with X25519). Its public half is a [PublicIdentity], a
// statement signed by the root; peers compare the root's [Fingerprint] once and
// keep trusting through rotations. A [SharedKeyset] is for two services that
// already share a secret: XAES-256-GCM keys, or AES256_GCM keys that come from Tink,
// and HMAC keys.
//
// Most programs make an identity once, keep it in a store, have the store keep it alive, and
// name the peers they mean to reach:
//
//	me, err := keys.GenerateIdentity("billing")                // once, or: hopseal key new
//	store, err := keys.CreateStore(ctx, path, secret, me)      // once
//
//	store, err := keys.OpenStore(ctx, path, secret)            // at every start
//	go store.Run(ctx, keys.DefaultRotation)                    // or peers refuse it after 30 days
//	me, verifier := store.Identity(), trust.Pinned(peerFingerprint)
//
// # Thirty days
//
// What an identity's root says about its keys counts for [MaxLifetime], 30 days, so that a statement
// that was stolen or rolled back does not count for long. After that every peer refuses the
// identity, until it is renewed: peers that know the fingerprint trust it again then. [Store.Run] renews it in
// time, [Identity.KeepAlive] one that is in no store, and [Identity.Renew] renews once.
// [Identity.Check] says whether an identity can be used, and [PublicIdentity.Expires] until when.
//
// # What is protected
//
// Stores are encrypted under a passphrase or a KMS key
// (Argon2id, AES-256-GCM), and secret types print as "[redacted]". What is not:
// Go cannot promise to erase memory, so keys live until the process ends.
//
// What the caller must do: decide on trust. A [Verifier] has no default, and
// what it returns for a stranger is a [TrustError]; the application asks a
// person, or an authority, and tries again. Shared keysets of AES256_GCM keys seal a
// limited number of messages and have to be rotated, see [ErrSealLimit].
//
// An argument that is nil, or an empty value that this package did not make, is an
// error that names its type, unless the documentation says otherwise. A nil context
// panics.
//
// Natively keysets are read, made and written by Tink itself. Compiled for the
// browser the same bytes go through internal/keyset, which a test holds against
// Tink. Tink types never leave this package.
package keys

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base32"
	"errors"
	"fmt"
	"strings"

	"github.com/hopseal/hopseal/internal/label"
)

// Fingerprint names an identity for good: SHA-256 over a label and the 32-byte
// root public key.
type Fingerprint [32]byte

// SigningKeyID names an Ed25519 public key: SHA-256 over a label, the key type
// and the 32 bytes.
type SigningKeyID [32]byte

// SealingKeyID names an X-Wing public key: SHA-256 over a label, the key type
// and the 1,216 bytes.
type SealingKeyID [32]byte

// SharedKeyID names a pair of shared keys and commits to both: HKDF-SHA-256 of
// the key bytes. A ciphertext that two different keys open would have to break
// this hash, which AES-GCM alone does not require.
type SharedKeyID [32]byte

const fingerprintPrefix = "fp1"

var base32Text = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// String returns the text form: "fp1" and 52 base32 characters.
func (f Fingerprint) String() string { return fingerprintPrefix + base32Text.EncodeToString(f[:]) }

// ParseFingerprint reads the text form. Spaces, which displays use to group the
// characters, are ignored; anything else that String does not print is refused.
func ParseFingerprint(s string) (Fingerprint, error) {
	s = strings.ReplaceAll(s, " ", "")
	raw, err := base32Text.DecodeString(strings.TrimPrefix(s, fingerprintPrefix))
	var f Fingerprint
	if err != nil || copy(f[:], raw) != len(f) || f.String() != s {
		return Fingerprint{}, errors.New("keys: not a fingerprint: want fp1 and 52 characters a-z, 2-7")
	}
	return f, nil
}

func (id SigningKeyID) String() string { return fmt.Sprintf("%x", id[:]) }
func (id SealingKeyID) String() string { return fmt.Sprintf("%x", id[:]) }
func (id SharedKeyID) String() string  { return fmt.Sprintf("%x", id[:]) }

func fingerprintOf(root ed25519.PublicKey) Fingerprint {
	return sha256.Sum256(label.Fingerprint.With(root))
}

// Key types and uses as they stand in a PublicIdentity.
const (
	useSign = 1
	useSeal = 2

	typeEd25519 = 1
	typeXWing   = 2
)

func signingKeyID(public []byte) SigningKeyID {
	return sha256.Sum256(label.SigningKeyID.With([]byte{typeEd25519}, public))
}

func sealingKeyID(public []byte) SealingKeyID {
	return sha256.Sum256(label.SealingKeyID.With([]byte{typeXWing}, public))
}

// A Signer holds the private half of one Ed25519 key. An implementation may keep
// it outside the process. Messages begin with a label of the protocol; a Signer
// must not sign bytes that a stranger chose in full.
type Signer interface {
	// PublicKey returns the 32-byte public half.
	PublicKey() ed25519.PublicKey
	// Sign returns the 64-byte signature of message (RFC 8032, Ed25519). It should give up
	// after some time: package e2e stops waiting for it, but a goroutine stays in it. It may be
	// called by several goroutines at a time.
	Sign(message []byte) ([]byte, error)
}
