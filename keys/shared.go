package keys

import (
	"bytes"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"hash"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hopseal/hopseal/internal/keyset"
	"github.com/hopseal/hopseal/internal/label"
	"github.com/hopseal/hopseal/internal/strict"
	"github.com/hopseal/hopseal/internal/xaes"
	"github.com/hopseal/hopseal/keys/insecurecleartext"
)

// ErrSharedKeyset is returned for bytes that are not a shared keyset.
var ErrSharedKeyset = errors.New("keys: not a valid shared keyset")

// MACSize is the size of [SharedKey.MAC] in bytes.
const MACSize = sha256.Size

// The pair's key types with their parameters, as they enter its id.
const sharedPairType = "XAesGcmKey salt 12\x00HmacKey SHA256 32\x00"

// A SharedKeyset is a Tink keyset of XAES-256-GCM keys and one of HMAC-SHA-256
// keys that belong together entry by entry: a pair seals and proves, and rotates
// as one. Whoever holds it can read and write as any of its parties.
//
// A SharedKeyset is safe for concurrent use. A rotation (see [Store]) reaches all
// who use it at once: they read one pointer.
type SharedKeyset struct {
	state atomic.Pointer[sharedState]
}

// sharedState is a SharedKeyset at one moment. It is immutable.
type sharedState struct {
	aeads, macs ring // in step: the same lives, entry by entry, but for Tink's ids
	pairs       []*SharedKey
	primary     *SharedKey
}

// A SharedKey is one pair of a [SharedKeyset].
type SharedKey struct {
	id     SharedKeyID
	stage  Stage
	aead   *xaes.AEAD
	macs   *sync.Pool // of hash.Hash, keyed: making one takes five allocations
	derive func(salt []byte, info string) ([]byte, error)
	sealed *usage
}

// usage counts what a key has sealed.
type usage struct{ messages, bytes atomic.Uint64 }

// GenerateSharedKeyset makes a keyset with one pair.
func GenerateSharedKeyset() (*SharedKeyset, error) {
	now := time.Now()
	aeads, err := newRing(keyset.XAESGCM, now)
	if err != nil {
		return nil, err
	}
	macs, err := newRing(keyset.HMAC, now)
	if err != nil {
		return nil, err
	}
	s := &sharedState{aeads: aeads, macs: macs}
	if err := s.load(nil); err != nil {
		return nil, err
	}
	return newSharedKeyset(s), nil
}

func newSharedKeyset(s *sharedState) *SharedKeyset {
	k := new(SharedKeyset)
	k.state.Store(s)
	return k
}

// load makes the pairs. Those that were there before keep their counts and pools.
func (s *sharedState) load(before *sharedState) error {
	a, err := s.aeads.set.keyset()
	if err != nil {
		return err
	}
	m, err := s.macs.set.keyset()
	if err != nil {
		return err
	}
	s.pairs = nil
	for i, k := range a.Keys {
		pair, err := newSharedKey(k.Secret, m.Keys[i].Secret)
		if err != nil {
			return err
		}
		if before != nil {
			if old, had := before.key(pair.id); had {
				pair.macs, pair.sealed = old.macs, old.sealed
			}
		}
		if _, twice := s.key(pair.id); twice {
			return ErrSharedKeyset
		}
		pair.stage = s.aeads.lives[i].stage()
		s.pairs = append(s.pairs, pair)
	}
	s.primary = s.pairs[s.aeads.primary()]
	return nil
}

func (s *sharedState) key(id SharedKeyID) (*SharedKey, bool) {
	for _, k := range s.pairs {
		if k.id == id {
			return k, true
		}
	}
	return nil, false
}

func newSharedKey(aeadKey, macKey []byte) (*SharedKey, error) {
	ikm := append(append(make([]byte, 0, 64), aeadKey...), macKey...)
	id, err := hkdf.Key(sha256.New, ikm, nil, string(label.SharedKeyID)+sharedPairType, sha256.Size)
	if err != nil {
		return nil, err
	}
	aead, err := xaes.New(aeadKey)
	if err != nil {
		return nil, err
	}
	macKey = bytes.Clone(macKey) // the pool makes more of it later
	macs := &sync.Pool{New: func() any { return hmac.New(sha256.New, macKey) }}
	derive := func(salt []byte, info string) ([]byte, error) { return hkdf.Key(sha256.New, ikm, salt, info, 32) }
	return &SharedKey{id: SharedKeyID(id), aead: aead, macs: macs, derive: derive, sealed: new(usage)}, nil
}

// Primary returns the pair that seals now, nil for the zero SharedKeyset.
func (s *SharedKeyset) Primary() *SharedKey {
	if state := s.state.Load(); state != nil {
		return state.primary
	}
	return nil
}

// Key returns the pair of that id: exactly one key is tried for a message,
// whatever the size of the keyset (A22). A pair whose stage is [StageArchived]
// opens stored messages only.
func (s *SharedKeyset) Key(id SharedKeyID) (*SharedKey, bool) { return s.state.Load().key(id) }

// Keys lists the pairs in the order in which they were made.
func (s *SharedKeyset) Keys() []KeyInfo {
	state := s.state.Load()
	out := make([]KeyInfo, len(state.pairs))
	for i, k := range state.pairs {
		out[i] = state.aeads.lives[i].info(UseShared, k.id.String())
	}
	return out
}

// Stage returns where the pair is in its life.
func (k *SharedKey) Stage() Stage { return k.stage }

// ID returns the pair's commitment.
func (k *SharedKey) ID() SharedKeyID { return k.id }

// Overhead is what [SharedKey.Seal] adds to a plaintext, in bytes.
func (k *SharedKey) Overhead() int { return xaes.Overhead }

// Seal appends nonce, ciphertext and tag to dst: plaintext plus
// [SharedKey.Overhead] bytes. The associated data must start with a label.
func (k *SharedKey) Seal(dst, plaintext, aad []byte) ([]byte, error) {
	k.sealed.messages.Add(1)
	k.sealed.bytes.Add(uint64(len(plaintext)))
	return k.aead.Seal(dst, plaintext, aad), nil
}

// StreamKey derives a 32-byte key from both keys of the pair, HKDF-SHA-256. The
// salt must be fresh and random; the info must start with a label.
func (k *SharedKey) StreamKey(salt, info []byte) ([]byte, error) {
	return k.derive(salt, string(info))
}

// Open appends the plaintext of what Seal appended to dst.
func (k *SharedKey) Open(dst, sealed, aad []byte) ([]byte, error) {
	return k.aead.Open(dst, sealed, aad)
}

// MAC appends the 32-byte HMAC-SHA-256 of message, which must start with a
// label, to dst.
func (k *SharedKey) MAC(dst, message []byte) []byte {
	h := k.macs.Get().(hash.Hash)
	defer k.macs.Put(h)
	h.Reset()
	h.Write(message)
	return h.Sum(dst)
}

// VerifyMAC compares in constant time.
func (k *SharedKey) VerifyMAC(message, mac []byte) bool {
	var room [MACSize]byte
	return hmac.Equal(k.MAC(room[:0], message), mac)
}

// MarshalCleartext returns the secret keys, unencrypted.
//
//	array(3) [ version=1, ring of X_AES_GCM keys, ring of HMAC keys ]
func (s *SharedKeyset) MarshalCleartext(insecurecleartext.Token) ([]byte, error) {
	return s.state.Load().append(nil)
}

func (s *sharedState) append(dst []byte) ([]byte, error) {
	dst = strict.AppendUint(strict.AppendArray(dst, 3), 1)
	dst, err := s.aeads.append(dst)
	if err != nil {
		return nil, err
	}
	return s.macs.append(dst)
}

// ParseCleartextSharedKeyset reads what [SharedKeyset.MarshalCleartext] returned,
// or returns [ErrSharedKeyset].
func ParseCleartextSharedKeyset(b []byte, _ insecurecleartext.Token) (*SharedKeyset, error) {
	r := strict.NewReader(b)
	s, err := parseSharedState(&r)
	if err != nil || r.Done() != nil {
		return nil, ErrSharedKeyset
	}
	return newSharedKeyset(s), nil
}

func parseSharedState(r *strict.Reader) (*sharedState, error) {
	r.Array(3)
	version := r.Uint()
	s := new(sharedState)
	var aeads, macs bool
	s.aeads, aeads = parseRing(r, keyset.XAESGCM)
	s.macs, macs = parseRing(r, keyset.HMAC)
	if !aeads || !macs || version != 1 || !s.paired() || s.load(nil) != nil {
		return nil, ErrSharedKeyset
	}
	return s, nil
}

// paired reports whether the two rings are in step, entry by entry.
func (s *sharedState) paired() bool {
	return slices.EqualFunc(s.aeads.lives, s.macs.lives, func(a, m life) bool {
		a.id, m.id = 0, 0
		return a == m
	})
}
