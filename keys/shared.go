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

	"github.com/hopseal/hopseal/internal/freshkeys"
	"github.com/hopseal/hopseal/internal/keyset"
	"github.com/hopseal/hopseal/internal/label"
	"github.com/hopseal/hopseal/internal/strict"
	"github.com/hopseal/hopseal/keys/insecurecleartext"
	"github.com/hopseal/hopseal/keys/internal/bridge"
	"github.com/hopseal/hopseal/keys/internal/ring"
	"github.com/hopseal/hopseal/keys/internal/version"
)

// ErrSharedKeyset is returned for bytes that are not a shared keyset.
var ErrSharedKeyset = errors.New("keys: not a valid shared keyset")

// MACSize is the size of [SharedKey.MAC] in bytes.
const MACSize = sha256.Size

// A SharedKeyset is a Tink keyset of XAES-256-GCM keys and one of HMAC-SHA-256 keys. The keys belong
// together entry by entry: a pair seals and proves, and rotates as one. Whoever holds the keyset can
// read and write as any of its holders.
//
// A keyset of AES256_GCM keys that Tink made can take the place of the first (see
// keyio.ImportSharedKeyset). It opens like the other. It seals only if it comes from a keystore.Store
// that is open for writing, and up to 2^30 messages a key, see [ErrSealLimit].
//
// A SharedKeyset is safe for concurrent use. A rotation (see keystore.Store) reaches all users of the
// keyset at once: they read one pointer.
type SharedKeyset struct {
	state atomic.Pointer[sharedState]
	fresh freshkeys.Mark
}

// sharedState is a SharedKeyset at one moment. It is immutable.
type sharedState struct {
	aeads, macs ring.Ring     // they have the same lives, entry by entry, but different Tink ids
	reserved    []uint64      // entry by entry: how many messages each AES256_GCM key may have sealed
	ledger      bridge.Ledger // nil outside of a Store
	pairs       []*SharedKey
	primary     *SharedKey
}

// A SharedKey is one pair of a [SharedKeyset].
type SharedKey struct {
	id     SharedKeyID
	stage  Stage
	aead   pairAEAD
	macs   *sync.Pool // of *macState: making one takes six allocations
	derive func(salt []byte, info string) ([]byte, error)
	sealed *usage
}

// GenerateSharedKeyset makes a keyset with one pair, whose AEAD is XAES-256-GCM.
func GenerateSharedKeyset() (*SharedKeyset, error) {
	now := time.Now()
	aeads, err := ring.New(keyset.XAESGCM, now)
	if err != nil {
		return nil, err
	}
	macs, err := ring.New(keyset.HMAC, now)
	if err != nil {
		return nil, err
	}
	s := &sharedState{aeads: aeads, macs: macs}
	if err := s.load(nil); err != nil {
		return nil, err
	}
	set := newSharedKeyset(s)
	set.fresh.Set()
	return set, nil
}

func newSharedKeyset(s *sharedState) *SharedKeyset {
	k := new(SharedKeyset)
	k.state.Store(s)
	return k
}

// load makes the pairs from the rings. Pairs that were there before keep their counts and pools,
// whatever another holder has counted.
func (s *sharedState) load(before *sharedState) error {
	a, err := s.aeads.Set.Keyset()
	if err != nil {
		return err
	}
	m, err := s.macs.Set.Keyset()
	if err != nil {
		return err
	}
	if ring.CommonKey(a, m) != 0 {
		return ErrSharedKeyset
	}
	reserved := make([]uint64, len(a.Keys))
	copy(reserved, s.reserved)
	s.pairs, s.reserved = nil, reserved
	if before != nil {
		s.ledger = before.ledger
	}
	for i, k := range a.Keys {
		pair, err := newSharedKey(s.aeads.Kind, k.Secret, m.Keys[i].Secret)
		if err != nil {
			return err
		}
		if s.index(pair.id) >= 0 {
			return ErrSharedKeyset
		}
		if old := before.index(pair.id); old >= 0 {
			pair.macs, pair.sealed, s.reserved[i] = before.pairs[old].macs, before.pairs[old].sealed, before.reserved[old]
		} else {
			pair.sealed = s.newUsage(pair.id, s.reserved[i])
		}
		pair.stage = Stage(s.aeads.Lives[i].Stage())
		s.pairs = append(s.pairs, pair)
	}
	s.primary = s.pairs[s.aeads.Primary()]
	return nil
}

// index returns the index of the pair with that id, -1 for none.
func (s *sharedState) index(id SharedKeyID) int {
	if s == nil {
		return -1
	}
	return slices.IndexFunc(s.pairs, func(k *SharedKey) bool { return k.id == id })
}

func (s *sharedState) key(id SharedKeyID) (*SharedKey, bool) {
	if i := s.index(id); i >= 0 {
		return s.pairs[i], true
	}
	return nil, false
}

func newSharedKey(kind keyset.Type, aeadKey, macKey []byte) (*SharedKey, error) {
	aead, pairType, err := newAEAD(kind, aeadKey)
	if err != nil {
		return nil, err
	}
	ikm := append(append(make([]byte, 0, 64), aeadKey...), macKey...)
	id, err := hkdf.Key(sha256.New, ikm, nil, string(label.SharedKeyID)+pairType, sha256.Size)
	if err != nil {
		return nil, err
	}
	macKey = bytes.Clone(macKey) // the pool makes hashes from it later
	macs := &sync.Pool{New: func() any { return &macState{Hash: hmac.New(sha256.New, macKey)} }}
	derive := func(salt []byte, info string) ([]byte, error) { return hkdf.Key(sha256.New, ikm, salt, info, 32) }
	return &SharedKey{id: SharedKeyID(id), aead: aead, macs: macs, derive: derive}, nil
}

// Primary returns the pair that seals now, or nil for the zero SharedKeyset.
func (s *SharedKeyset) Primary() *SharedKey {
	if state := s.state.Load(); state != nil {
		return state.primary
	}
	return nil
}

// Key returns the pair with that id. So exactly one key is tried for a message, whatever the size of
// the keyset (A22). A pair at [StageArchived] opens stored messages only.
func (s *SharedKeyset) Key(id SharedKeyID) (*SharedKey, bool) { return s.state.Load().key(id) }

// Keys lists the pairs in the order in which they were made.
func (s *SharedKeyset) Keys() []KeyInfo {
	state := s.state.Load()
	out := make([]KeyInfo, len(state.pairs))
	for i, k := range state.pairs {
		out[i] = keyInfo(state.aeads.Lives[i], UseShared, k.id.String())
	}
	return out
}

// Stage returns where the pair is in its life.
func (k *SharedKey) Stage() Stage { return k.stage }

// ID returns the pair's id, which commits to both keys.
func (k *SharedKey) ID() SharedKeyID { return k.id }

// Overhead returns how many bytes [SharedKey.Seal] adds to a plaintext: 40 for XAES-256-GCM, 28 for
// AES-256-GCM. The tag takes 16 of them.
func (k *SharedKey) Overhead() int { return k.aead.Overhead() }

// Seal appends nonce, ciphertext and tag to dst: plaintext plus [SharedKey.Overhead] bytes. The
// associated data must start with a label. For an AES256_GCM key the error may wrap [ErrSealLimit],
// or come from writing the store that keeps the key's count.
func (k *SharedKey) Seal(dst, plaintext, aad []byte) ([]byte, error) {
	if err := k.count(len(plaintext)); err != nil {
		return nil, err
	}
	return k.aead.Seal(dst, plaintext, aad), nil
}

// count counts a message before it is sealed.
func (k *SharedKey) count(size int) error {
	if err := k.sealed.count(); err != nil {
		return err
	}
	k.sealed.bytes.Add(uint64(size))
	return nil
}

// StreamKey derives a 32-byte key from both keys of the pair by HKDF-SHA-256. The salt must be fresh
// and random, and the info must start with a label. What is sealed under derived keys does not count
// for the pair.
func (k *SharedKey) StreamKey(salt, info []byte) ([]byte, error) {
	return k.derive(salt, string(info))
}

// Open appends to dst the plaintext of what Seal appended.
func (k *SharedKey) Open(dst, sealed, aad []byte) ([]byte, error) {
	out, err := k.aead.Open(dst, sealed, aad)
	if err != nil {
		return nil, errOpen
	}
	return out, nil
}

// MAC appends the 32-byte HMAC-SHA-256 of message to dst. The message must start with a label.
func (k *SharedKey) MAC(dst, message []byte) []byte {
	h := k.macs.Get().(*macState)
	defer k.macs.Put(h)
	return h.of(dst, message)
}

// VerifyMAC reports whether mac is the HMAC of message. It compares in constant time.
func (k *SharedKey) VerifyMAC(message, mac []byte) bool {
	h := k.macs.Get().(*macState)
	defer k.macs.Put(h)
	return hmac.Equal(h.of(h.room[:0], message), mac)
}

// A macState is a keyed hash, and room for what VerifyMAC compares.
type macState struct {
	hash.Hash
	room [MACSize]byte
}

func (h *macState) of(dst, message []byte) []byte {
	h.Reset()
	h.Write(message)
	return h.Sum(dst)
}

// MarshalCleartext returns the secret keys, unencrypted.
//
//	array(3) [ version=1, ring of X_AES_GCM keys, ring of HMAC keys ]
//	array(4) [ version=2, ring of AES256_GCM keys, ring of HMAC keys, array of messages reserved ]
func (s *SharedKeyset) MarshalCleartext(insecurecleartext.Token) ([]byte, error) {
	return s.state.Load().append(nil)
}

func (s *sharedState) append(dst []byte) ([]byte, error) {
	version := uint64(versionXAES)
	if s.aeads.Kind == keyset.AESGCM {
		version = versionAES
	}
	dst = strict.AppendUint(strict.AppendArray(dst, int(version)+2), version)
	dst, err := s.aeads.Append(dst)
	if err != nil {
		return nil, err
	}
	if dst, err = s.macs.Append(dst); err != nil || version == versionXAES {
		return dst, err
	}
	dst = strict.AppendArray(dst, len(s.reserved))
	for _, n := range s.reserved {
		dst = strict.AppendUint(dst, n)
	}
	return dst, nil
}

// Versions of an encoded keyset. The number of its values is its version plus two.
const (
	versionXAES = 1
	versionAES  = 2
)

// ParseCleartextSharedKeyset reads what [SharedKeyset.MarshalCleartext] returned,
// or returns [ErrSharedKeyset].
func ParseCleartextSharedKeyset(b []byte, _ insecurecleartext.Token) (_ *SharedKeyset, err error) {
	defer version.Later(&err, b, versionAES)
	r := strict.NewReader(b)
	s, err := parseSharedState(&r)
	if err != nil || r.Done() != nil {
		return nil, ErrSharedKeyset
	}
	return newSharedKeyset(s), nil
}

func parseSharedState(r *strict.Reader) (*sharedState, error) {
	n := r.ArrayLen(versionXAES+2, versionAES+2)
	version := r.Uint()
	kind := keyset.XAESGCM
	if version == versionAES {
		kind = keyset.AESGCM
	}
	s := new(sharedState)
	var aeads, macs bool
	s.aeads, aeads = ring.Parse(r, kind)
	s.macs, macs = ring.Parse(r, keyset.HMAC)
	if !aeads || !macs || version != uint64(n-2) || !ring.Paired(s.aeads, s.macs) {
		return nil, ErrSharedKeyset
	}
	if version == versionAES {
		s.reserved = parseReserved(r, len(s.aeads.Lives))
	}
	if r.Failed() || s.load(nil) != nil {
		return nil, ErrSharedKeyset
	}
	return s, nil
}

func parseReserved(r *strict.Reader, keys int) []uint64 {
	r.Array(keys)
	reserved := make([]uint64, keys)
	for i := range reserved {
		if reserved[i] = r.Uint(); reserved[i] > maxSealed {
			r.Fail()
		}
	}
	return reserved
}
