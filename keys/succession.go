package keys

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"fmt"
	"time"

	"github.com/hopseal/hopseal/internal/label"
	"github.com/hopseal/hopseal/internal/strict"
	"github.com/hopseal/hopseal/keys/internal/unixtime"
	"github.com/hopseal/hopseal/keys/internal/version"
)

// ErrSuccession is returned by [ParseSuccession] for bytes that are not a
// succession signed by both roots.
var ErrSuccession = errors.New("keys: not a valid succession")

// A Succession is the statement of two roots that the second takes the place of
// the first: for an owner who retires a root, or has come to doubt how it is
// kept. Peers take it with [KnownPeers.Succeed].
type Succession struct {
	raw       []byte
	old, next Fingerprint
	issued    time.Time
}

// Bytes returns the encoded succession, 210 bytes. The caller must not change it.
func (s *Succession) Bytes() []byte { return s.raw }

// Old and Next return the two roots.
func (s *Succession) Old() Fingerprint  { return s.old }
func (s *Succession) Next() Fingerprint { return s.next }

// Issued returns when it was signed, by its own word.
func (s *Succession) Issued() time.Time { return s.issued }

// Succeed signs that next takes the place of id. Both roots must be here.
func (id *Identity) Succeed(next *Identity) (*Succession, error) {
	if next.empty() {
		return nil, errNil("Identity")
	}
	old, successor := id.state.Load(), next.state.Load()
	switch {
	case old.root == nil || successor.root == nil:
		return nil, ErrDetached
	case old.public.Revoked() || successor.public.Revoked():
		return nil, ErrRevoked
	case id.Fingerprint() == next.Fingerprint():
		return nil, errors.New("keys: an identity does not succeed itself")
	}
	b := strict.AppendUint(strict.AppendArray(nil, 4), 1)
	b = strict.AppendBin(b, old.public.root[:])
	b = strict.AppendBin(b, successor.public.root[:])
	statement := strict.AppendUint(b, uint64(time.Now().Unix()))
	raw := strict.AppendBin(strict.AppendArray(nil, 3), statement)
	for _, root := range []Signer{old.root, successor.root} {
		sig, err := root.Sign(label.Succession.With(statement))
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
	old, next := r.Bin(ed25519PublicSize, ed25519PublicSize), r.Bin(ed25519PublicSize, ed25519PublicSize)
	issued := r.Uint()
	if r.Done() != nil || version != 1 || issued >= unixtime.Limit || bytes.Equal(old, next) ||
		!signedBy(old, statement, byOld) || !signedBy(next, statement, byNext) {
		return nil, ErrSuccession
	}
	return &Succession{b, fingerprintOf(old), fingerprintOf(next), time.Unix(int64(issued), 0)}, nil
}

func signedBy(root, statement, sig []byte) bool {
	return checkEd25519(root) == nil && ed25519.Verify(root, label.Succession.With(statement), sig)
}
