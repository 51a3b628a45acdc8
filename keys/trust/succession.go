package trust

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"fmt"
	"time"

	"github.com/hopseal/hopseal/internal/label"
	"github.com/hopseal/hopseal/internal/strict"
	"github.com/hopseal/hopseal/keys"
	"github.com/hopseal/hopseal/keys/internal/bridge"
	"github.com/hopseal/hopseal/keys/internal/missing"
	"github.com/hopseal/hopseal/keys/internal/unixtime"
	"github.com/hopseal/hopseal/keys/internal/version"
)

// ErrSuccession is returned by [ParseSuccession] for bytes that are not a
// succession signed by both roots.
var ErrSuccession = errors.New("keys: not a valid succession")

// A Succession is the statement of two roots that the second takes the place of the first. It is for
// an owner who retires a root, or is not sure any more that it was kept secret. [Succeed] signs it,
// and peers take it in with [KnownPeers.Succeed].
type Succession struct {
	raw       []byte
	old, next keys.Fingerprint
	issued    time.Time
}

// Bytes returns the encoded succession, 210 bytes. The caller must not change it.
func (s *Succession) Bytes() []byte { return s.raw }

// Old and Next return the two roots.
func (s *Succession) Old() keys.Fingerprint  { return s.old }
func (s *Succession) Next() keys.Fingerprint { return s.next }

// Issued returns the time at which the succession says that it was signed.
func (s *Succession) Issued() time.Time { return s.issued }

// roots are the functions of package keys for the root of an identity.
var roots = bridge.Take[bridge.Roots[*keys.Identity]]()

// Succeed signs that next takes the place of old. The private keys of both roots must be attached.
func Succeed(old, next *keys.Identity) (*Succession, error) {
	if old == nil || next == nil || empty(old.Public()) || empty(next.Public()) {
		return nil, missing.Arg("Identity")
	}
	switch {
	case !roots.Attached(old) || !roots.Attached(next):
		return nil, keys.ErrDetached
	case old.Public().Revoked() || next.Public().Revoked():
		return nil, keys.ErrRevoked
	case old.Fingerprint() == next.Fingerprint():
		return nil, errors.New("keys: an identity does not succeed itself")
	}
	b := strict.AppendUint(strict.AppendArray(nil, 4), 1)
	b = strict.AppendBin(b, old.Public().RootKey())
	b = strict.AppendBin(b, next.Public().RootKey())
	statement := strict.AppendUint(b, uint64(time.Now().Unix()))
	raw := strict.AppendBin(strict.AppendArray(nil, 3), statement)
	for _, id := range []*keys.Identity{old, next} {
		sig, err := roots.Sign(id, label.Succession.With(statement))
		if err != nil {
			return nil, fmt.Errorf("keys: a root does not sign: %w", err)
		}
		raw = strict.AppendBin(raw, sig)
	}
	return ParseSuccession(raw)
}

// ParseSuccession reads a succession and verifies both signatures.
//
//	succession = array(3) [ statement bin, signature by old bin 64, signature by next bin 64 ]
//	statement  = array(4) [ version=1, old root bin 32, next root bin 32, issued s ]
func ParseSuccession(b []byte) (_ *Succession, err error) {
	defer version.Later(&err, b, 1)
	b = bytes.Clone(b)
	r := strict.NewReader(b)
	r.Array(3)
	statement := r.Bin(1, 128)
	byOld := r.Bin(ed25519.SignatureSize, ed25519.SignatureSize)
	byNext := r.Bin(ed25519.SignatureSize, ed25519.SignatureSize)
	if r.Done() != nil {
		return nil, ErrSuccession
	}
	r = strict.NewReader(statement)
	r.Array(4)
	version := r.Uint()
	old, next := r.Bin(ed25519.PublicKeySize, ed25519.PublicKeySize), r.Bin(ed25519.PublicKeySize, ed25519.PublicKeySize)
	issued := r.Uint()
	if r.Done() != nil || version != 1 || issued >= unixtime.Limit || bytes.Equal(old, next) {
		return nil, ErrSuccession
	}
	oldRoot, ok := signedBy(old, statement, byOld)
	nextRoot, also := signedBy(next, statement, byNext)
	if !ok || !also {
		return nil, ErrSuccession
	}
	return &Succession{b, oldRoot, nextRoot, time.Unix(int64(issued), 0)}, nil
}

// signedBy returns the fingerprint of the root that has signed the statement.
func signedBy(root, statement, sig []byte) (keys.Fingerprint, bool) {
	f, err := keys.RootFingerprint(root)
	return f, err == nil && ed25519.Verify(root, label.Succession.With(statement), sig)
}
