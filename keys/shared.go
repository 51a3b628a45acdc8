package keys

import (
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"hash"
	"math"
	"sync"

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

// SharedOverhead is what [SharedKey.Seal] adds to a plaintext, in bytes.
const SharedOverhead = xaes.Overhead

// The pair's key types with their parameters, as they enter its id.
const sharedPairType = "XAesGcmKey salt 12\x00HmacKey SHA256 32\x00"

// A SharedKeyset is a Tink keyset of XAES-256-GCM keys and one of HMAC-SHA-256
// keys that belong together entry by entry: a pair seals and proves, and rotates
// as one. Whoever holds it can read and write as any of its parties.
//
// A SharedKeyset is safe for concurrent use.
type SharedKeyset struct {
	aeads, macs tinkset
	pairs       []*SharedKey
	primary     *SharedKey
}

// A SharedKey is one pair of a [SharedKeyset].
type SharedKey struct {
	id   SharedKeyID
	aead *xaes.AEAD
	macs sync.Pool // of hash.Hash, keyed: making one takes five allocations
}

// GenerateSharedKeyset makes a keyset with one pair.
func GenerateSharedKeyset() (*SharedKeyset, error) {
	aeads, err := generateTinkset(keyset.XAESGCM)
	if err != nil {
		return nil, err
	}
	macs, err := generateTinkset(keyset.HMAC)
	if err != nil {
		return nil, err
	}
	return newSharedKeyset(aeads, macs)
}

func newSharedKeyset(aeads, macs tinkset) (*SharedKeyset, error) {
	a, err := aeads.keyset()
	if err != nil {
		return nil, err
	}
	m, err := macs.keyset()
	if err != nil {
		return nil, err
	}
	if len(a.Keys) != len(m.Keys) {
		return nil, ErrSharedKeyset
	}
	s := &SharedKeyset{aeads: aeads, macs: macs}
	for i, k := range a.Keys {
		if err := s.addPair(k, m.Keys[i], k.ID == a.Primary, m.Keys[i].ID == m.Primary); err != nil {
			return nil, err
		}
	}
	return s, nil
}

func (s *SharedKeyset) addPair(a, m keyset.Key, aPrimary, mPrimary bool) error {
	if a.Status != m.Status || aPrimary != mPrimary {
		return ErrSharedKeyset
	}
	if a.Status == keyset.Destroyed {
		return nil
	}
	if a.Type != keyset.XAESGCM || m.Type != keyset.HMAC {
		return ErrSharedKeyset
	}
	if a.Status != keyset.Enabled {
		return nil
	}
	pair, err := newSharedKey(a.Secret, m.Secret)
	if err != nil {
		return err
	}
	if _, twice := s.Key(pair.id); twice {
		return ErrSharedKeyset
	}
	s.pairs = append(s.pairs, pair)
	if aPrimary {
		s.primary = pair
	}
	return nil
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
	k := &SharedKey{id: SharedKeyID(id), aead: aead}
	k.macs.New = func() any { return hmac.New(sha256.New, macKey) }
	return k, nil
}

// Primary returns the pair that seals.
func (s *SharedKeyset) Primary() *SharedKey { return s.primary }

// Key returns the enabled pair of that id: exactly one key is tried for a
// message, whatever the size of the keyset (A22).
func (s *SharedKeyset) Key(id SharedKeyID) (*SharedKey, bool) {
	for _, k := range s.pairs {
		if k.id == id {
			return k, true
		}
	}
	return nil, false
}

// ID returns the pair's commitment.
func (k *SharedKey) ID() SharedKeyID { return k.id }

// Seal appends nonce, ciphertext and tag to dst: plaintext plus [SharedOverhead]
// bytes, XAES-256-GCM. The associated data must start with a label.
func (k *SharedKey) Seal(dst, plaintext, aad []byte) []byte { return k.aead.Seal(dst, plaintext, aad) }

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
//	array(3) [ version=1, X_AES_GCM keyset bin, HMAC keyset bin ]
func (s *SharedKeyset) MarshalCleartext(insecurecleartext.Token) ([]byte, error) {
	aeads, err := s.aeads.bytes()
	if err != nil {
		return nil, err
	}
	macs, err := s.macs.bytes()
	if err != nil {
		return nil, err
	}
	b := strict.AppendUint(strict.AppendArray(nil, 3), 1)
	return strict.AppendBin(strict.AppendBin(b, aeads), macs), nil
}

// ParseCleartextSharedKeyset reads what [SharedKeyset.MarshalCleartext] returned,
// or returns [ErrSharedKeyset].
func ParseCleartextSharedKeyset(b []byte, _ insecurecleartext.Token) (*SharedKeyset, error) {
	r := strict.NewReader(b)
	r.Array(3)
	version := r.Uint()
	aeads, macs := r.Bin(1, math.MaxUint16), r.Bin(1, math.MaxUint16)
	if r.Done() != nil || version != 1 {
		return nil, ErrSharedKeyset
	}
	a, err := parseTinkset(aeads)
	if err != nil {
		return nil, ErrSharedKeyset
	}
	m, err := parseTinkset(macs)
	if err != nil {
		return nil, ErrSharedKeyset
	}
	s, err := newSharedKeyset(a, m)
	if err != nil {
		return nil, ErrSharedKeyset
	}
	return s, nil
}
