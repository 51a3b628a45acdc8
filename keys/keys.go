// Package keys makes identities and the keysets that belong to them.
//
// A program makes its identity once, and hands the public half to whoever is to reach it:
//
//	me, err := keys.GenerateIdentity("billing")   // once, or: hopseal key new
//	fmt.Println(me.Fingerprint())                 // what a peer pins, see package keys/trust
//
// Package keys/keystore then keeps it in an encrypted file and keeps it alive:
//
//	store, err := keystore.Create(ctx, path, secret, me)   // once
//
//	store, err := keystore.Open(ctx, path, secret)         // at every start
//	go store.Run(ctx, keystore.DefaultRotation)            // or peers refuse it after 30 days
//	me, verifier := store.Identity(), trust.Pinned(peerFingerprint)
//
// # What there is
//
// An [Identity] is a long-term Ed25519 root key with two rotating Tink keysets under it. One signs
// (Ed25519). The other opens what others sealed to it (X-Wing, that is ML-KEM-768 with X25519). Its
// public half is a [PublicIdentity], a statement that the root signs. Peers compare the root's
// [Fingerprint] once and keep trusting through rotations. A [SharedKeyset] is for two services that
// already share a secret. It holds HMAC keys, and XAES-256-GCM keys or AES256_GCM keys that come from
// Tink.
//
// # What is protected
//
// What an identity's root says about its keys counts for [MaxLifetime], 30 days. So a stolen or old
// statement does not count for long. After that every peer refuses the identity until it is renewed;
// then peers that know the fingerprint trust it again. The store's Run renews the identity in time,
// [Identity.KeepAlive] renews one that is in no store, and [Identity.Renew] renews once.
// [Identity.Check] says whether an identity can be used, and [PublicIdentity.Expires] until when.
//
// Secret types print as "[redacted]". Go cannot promise to erase memory: keys live until the process
// ends. A shared keyset of AES256_GCM keys seals a limited number of messages and must be rotated,
// see [ErrSealLimit].
//
// What a public identity says of itself, above all its name, proves nothing. Package keys/trust
// decides whom to trust, and that has no default.
//
// # The rest
//
// An argument that is nil, or an empty value that this package did not make, causes an error that
// names its type, unless the documentation says otherwise. A nil context panics.
//
// In native programs Tink itself makes, reads and writes keysets. In browsers internal/keyset does
// that with the same bytes, and a test compares it with Tink. Tink types leave this package through
// keys/keyio only.
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

// SharedKeyID names a pair of shared keys and commits to both: it is HKDF-SHA-256 of the key bytes.
// To make a ciphertext that two different keys open, one would have to break this hash. AES-GCM alone
// does not prevent such ciphertexts.
type SharedKeyID [32]byte

const fingerprintPrefix = "fp1"

var base32Text = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// String returns the text form: "fp1" and 52 base32 characters.
func (f Fingerprint) String() string { return fingerprintPrefix + base32Text.EncodeToString(f[:]) }

// ParseFingerprint reads the text form. It ignores spaces, which displays use to group the
// characters, and refuses anything else that String does not print.
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

// A Signer holds the private half of one Ed25519 key. An implementation may keep it outside of the
// process. Messages begin with a label of the protocol. A Signer must not sign bytes that a stranger
// chose in full.
type Signer interface {
	// PublicKey returns the 32-byte public half.
	PublicKey() ed25519.PublicKey
	// Sign returns the 64-byte signature of message (RFC 8032, Ed25519). It should give up after some
	// time: package e2e stops waiting for it, but a goroutine stays in it. Several goroutines may
	// call it at a time.
	Sign(message []byte) ([]byte, error)
}
