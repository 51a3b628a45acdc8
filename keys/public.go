package keys

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"math"
	"sync/atomic"
	"time"

	"github.com/hopseal/hopseal/internal/label"
	"github.com/hopseal/hopseal/internal/strict"
	"github.com/hopseal/hopseal/internal/xwing"
	"github.com/hopseal/hopseal/keys/internal/ring"
	"github.com/hopseal/hopseal/keys/internal/unixtime"
	"github.com/hopseal/hopseal/keys/internal/version"
)

// Limits of a PublicIdentity.
const (
	MaxNameSize   = 128                 // bytes of UTF-8
	MaxPublicSize = 6 << 10             // bytes; a handshake message holds one
	MaxLifetime   = 30 * 24 * time.Hour // from issued to expires; limits a rollback for readers that remember no serial

	publicVersion = 1
	maxListedKeys = ring.MaxSigning // a ring holds one signing key more than a statement lists beside a sealing key
	revokedSerial = math.MaxUint64
)

// ErrPublicIdentity is returned by [ParsePublic] for bytes that are not a
// well-formed identity signed by its own root.
var ErrPublicIdentity = errors.New("keys: not a valid public identity")

// A PublicIdentity is the public half of an [Identity]: what the root says about its name and keys,
// signed. A valid signature proves only that the root wrote it. A trust.Verifier decides whether the
// root is the one that the caller meant to reach.
//
// The owner chose the name: up to 128 bytes of UTF-8, with any characters. Escape it wherever you
// show it.
//
// A PublicIdentity is immutable and safe for concurrent use.
type PublicIdentity struct {
	raw             []byte
	name            string
	root            [ed25519PublicSize]byte
	fingerprint     Fingerprint
	serial          uint64
	issued, expires time.Time
	signing         []VerifyingKey
	sealing         []*RecipientKey
}

// window is when a listed key is in use, in Unix seconds. To is 0 if no end is set.
type window struct{ from, to uint64 }

func (w window) contains(t time.Time) bool { return w.meets(t, t) }

// meets reports whether the window overlaps the time from first to last.
func (w window) meets(first, last time.Time) bool {
	return int64(w.from) <= last.Unix() && (w.to == 0 || first.Unix() < int64(w.to))
}

// A VerifyingKey is one signing key of a [PublicIdentity].
type VerifyingKey struct {
	id     SigningKeyID
	public [ed25519PublicSize]byte
	window window
}

// ID returns the key's name on the wire.
func (k VerifyingKey) ID() SigningKeyID { return k.id }

// ValidAt reports whether the key signs at t, according to its owner's list. Retired keys stay
// listed, so that what they signed in their time still verifies.
func (k VerifyingKey) ValidAt(t time.Time) bool {
	return k.id != SigningKeyID{} && k.window.contains(t)
}

// Verify reports whether sig is the key's 64-byte Ed25519 signature of message.
func (k VerifyingKey) Verify(message, sig []byte) bool {
	// Many signatures verify under the zero key, a point of small order.
	return k.id != SigningKeyID{} && len(sig) == ed25519.SignatureSize && ed25519.Verify(k.public[:], message, sig)
}

// A RecipientKey is one sealing key of a [PublicIdentity].
type RecipientKey struct {
	id     SealingKeyID
	public []byte
	window window
	// expanded is made from public when somebody first seals to the key. It takes 8 KB, which
	// programs that only verify do not spend.
	expanded atomic.Pointer[xwing.PublicKey]
}

func (k *RecipientKey) key() (*xwing.PublicKey, error) {
	if key := k.expanded.Load(); key != nil {
		return key, nil
	}
	key, err := xwing.NewPublicKey(k.public)
	if err != nil {
		return nil, err
	}
	k.expanded.Store(key)
	return key, nil
}

// ID returns the key's name on the wire.
func (k *RecipientKey) ID() SealingKeyID { return k.id }

// ValidAt reports whether others may seal to the key at t, according to its owner's list.
func (k *RecipientKey) ValidAt(t time.Time) bool { return k.window.contains(t) }

// SealedKeySize is the length of what [RecipientKey.SealKey] returns for a
// 32-byte key: an X-Wing encapsulation and an AES-256-GCM ciphertext.
const SealedKeySize = 1120 + 32 + 16

// SealKey seals a key to the recipient with single-shot HPKE in base mode (RFC
// 9180): X-Wing, HKDF-SHA-256, AES-256-GCM. The sender stays anonymous, so info
// must bind whatever the caller signs elsewhere.
func (k *RecipientKey) SealKey(info, key []byte) ([]byte, error) {
	pk, err := k.key()
	if err != nil {
		return nil, err
	}
	return pk.Seal(info, key)
}

// Bytes returns the encoded identity, at most [MaxPublicSize] bytes. The caller
// must not change it.
func (p *PublicIdentity) Bytes() []byte { return p.raw }

// Name returns the name that the owner chose. It proves nothing and may hold
// any characters.
func (p *PublicIdentity) Name() string { return p.name }

// Fingerprint names the root, and so the identity through all its rotations.
func (p *PublicIdentity) Fingerprint() Fingerprint { return p.fingerprint }

// Serial orders the statements of one root: a higher one replaces a lower.
func (p *PublicIdentity) Serial() uint64 { return p.serial }

// Issued and Expires return the beginning and the end of the time in which the statement counts, at
// most [MaxLifetime] apart.
func (p *PublicIdentity) Issued() time.Time  { return p.issued }
func (p *PublicIdentity) Expires() time.Time { return p.expires }

// RenewalDue returns the time by which the owner signs another statement: half the life of this one.
// Whoever still holds this one after that asks for the newer, since keys in this one may have
// retired. It counts until it expires all the same.
func (p *PublicIdentity) RenewalDue() time.Time {
	return p.issued.Add(p.expires.Sub(p.issued) / 2)
}

// Revoked reports whether the root has withdrawn the identity for good. A
// revocation lists no keys.
func (p *PublicIdentity) Revoked() bool { return p.serial == revokedSerial }

// VerifyingKey returns the primary signing key. For a revoked identity it returns the zero
// VerifyingKey, which verifies nothing.
func (p *PublicIdentity) VerifyingKey() VerifyingKey {
	if len(p.signing) == 0 {
		return VerifyingKey{}
	}
	return p.signing[0]
}

// VerifyingKeyByID returns the listed signing key of that name.
func (p *PublicIdentity) VerifyingKeyByID(id SigningKeyID) (VerifyingKey, bool) {
	for _, k := range p.signing {
		if k.id == id {
			return k, true
		}
	}
	return VerifyingKey{}, false
}

// VerifyingKeys returns the listed signing keys, the primary one first.
func (p *PublicIdentity) VerifyingKeys() []VerifyingKey {
	return append([]VerifyingKey(nil), p.signing...)
}

// RecipientKey returns the primary sealing key, nil for a revoked identity.
func (p *PublicIdentity) RecipientKey() *RecipientKey {
	if len(p.sealing) == 0 {
		return nil
	}
	return p.sealing[0]
}

// Equal reports whether p and other are the same statement, byte for byte.
func (p *PublicIdentity) Equal(other *PublicIdentity) bool {
	return other != nil && bytes.Equal(p.raw, other.raw)
}

// ParsePublic reads a PublicIdentity, checks every key in it and verifies the root's signature. It
// accepts one encoding only and returns [ErrPublicIdentity] for everything else. It does not check
// the expiry: the trust.Verifier does, which knows what the identity is for.
//
//	identity = array(2) [ statement bin, signature bin 64 ]
//	statement = array(7) [ version=1, name str 1..128, root bin 32, serial,
//	                       issued s, expires s, keys array ]
//	key = array(5) [ use, type, bytes bin, valid from s, valid to s | 0 ]
//
// Keys are in ascending order of use, the primary of each use first.
func ParsePublic(b []byte) (p *PublicIdentity, err error) {
	defer version.Later(&err, b, publicVersion)
	if len(b) > MaxPublicSize {
		return nil, ErrPublicIdentity
	}
	b = bytes.Clone(b)
	r := strict.NewReader(b)
	r.Array(2)
	statement := r.Bin(1, MaxPublicSize)
	sig := r.Bin(ed25519.SignatureSize, ed25519.SignatureSize)
	if r.Done() != nil {
		return nil, ErrPublicIdentity
	}
	p, err = parseStatement(statement)
	if err != nil || checkEd25519(p.root[:]) != nil ||
		!ed25519.Verify(p.root[:], label.Identity.With(statement), sig) {
		return nil, ErrPublicIdentity
	}
	p.raw, p.fingerprint = b, fingerprintOf(p.root[:])
	return p, nil
}

func parseStatement(b []byte) (*PublicIdentity, error) {
	r := strict.NewReader(b)
	r.Array(7)
	version := r.Uint()
	p := &PublicIdentity{name: r.Str(1, MaxNameSize)}
	copy(p.root[:], r.Bin(ed25519PublicSize, ed25519PublicSize))
	p.serial = r.Uint()
	issued, expires := r.Uint(), r.Uint()
	for range r.ArrayLen(0, maxListedKeys) {
		p.parseKey(&r)
	}
	if err := r.Done(); err != nil {
		return nil, err
	}
	if version != publicVersion || p.serial == 0 || issued >= unixtime.Limit || expires >= unixtime.Limit || expires <= issued ||
		expires-issued > uint64(MaxLifetime/time.Second) || !p.keysComplete() {
		return nil, ErrPublicIdentity
	}
	p.issued, p.expires = time.Unix(int64(issued), 0), time.Unix(int64(expires), 0)
	return p, nil
}

func (p *PublicIdentity) keysComplete() bool {
	if p.Revoked() {
		return len(p.signing)+len(p.sealing) == 0
	}
	return len(p.signing) > 0 && len(p.sealing) > 0
}

func (p *PublicIdentity) parseKey(r *strict.Reader) {
	r.Array(5)
	use, kind := r.Uint(), r.Uint()
	public := r.Bin(ed25519PublicSize, xwingPublicSize)
	w := window{from: r.Uint(), to: r.Uint()}
	if r.Failed() || w.from >= unixtime.Limit || w.to >= unixtime.Limit || w.to != 0 && w.to <= w.from {
		r.Fail()
		return
	}
	switch {
	case use == useSign && kind == typeEd25519 && len(p.sealing) == 0:
		p.addSigning(r, public, w)
	case use == useSeal && kind == typeXWing:
		p.addSealing(r, public, w)
	default:
		r.Fail()
	}
}

func (p *PublicIdentity) addSigning(r *strict.Reader, public []byte, w window) {
	k := VerifyingKey{id: signingKeyID(public), window: w}
	if _, listed := p.VerifyingKeyByID(k.id); listed || checkEd25519(public) != nil {
		r.Fail()
		return
	}
	copy(k.public[:], public)
	p.signing = append(p.signing, k)
}

func (p *PublicIdentity) addSealing(r *strict.Reader, public []byte, w window) {
	err := checkXWing(public)
	k := &RecipientKey{id: sealingKeyID(public), public: public, window: w}
	for _, other := range p.sealing {
		if other.id == k.id {
			err = ErrPublicIdentity
		}
	}
	if err != nil {
		r.Fail()
		return
	}
	p.sealing = append(p.sealing, k)
}

// appendStatement writes what parseStatement reads.
func (p *PublicIdentity) appendStatement(dst []byte) []byte {
	dst = strict.AppendArray(dst, 7)
	dst = strict.AppendUint(dst, publicVersion)
	dst = strict.AppendStr(dst, p.name)
	dst = strict.AppendBin(dst, p.root[:])
	dst = strict.AppendUint(dst, p.serial)
	dst = strict.AppendUint(dst, uint64(p.issued.Unix()))
	dst = strict.AppendUint(dst, uint64(p.expires.Unix()))
	dst = strict.AppendArray(dst, len(p.signing)+len(p.sealing))
	for _, k := range p.signing {
		dst = appendListedKey(dst, useSign, typeEd25519, k.public[:], k.window)
	}
	for _, k := range p.sealing {
		dst = appendListedKey(dst, useSeal, typeXWing, k.public, k.window)
	}
	return dst
}

func appendListedKey(dst []byte, use, kind uint64, public []byte, w window) []byte {
	dst = strict.AppendArray(dst, 5)
	dst = strict.AppendUint(dst, use)
	dst = strict.AppendUint(dst, kind)
	dst = strict.AppendBin(dst, public)
	dst = strict.AppendUint(dst, w.from)
	return strict.AppendUint(dst, w.to)
}
