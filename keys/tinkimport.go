//go:build !js

package keys

import (
	"fmt"
	"time"

	"github.com/hopseal/hopseal/internal/keyset"
	"github.com/hopseal/hopseal/keys/internal/missing"
	"github.com/hopseal/hopseal/keys/internal/ring"
)

// TinkKeyset returns the identity's signing or sealing keyset, with its keys in
// every state. It returns [ErrDetached] for the signing keyset where an external
// Signer signs.
func (id *Identity) TinkKeyset(use Use) (*TinkKeyset, error) {
	s := id.state.Load()
	switch {
	case use == UseSealing:
		return ringKeyset(s.sealing)
	case use != UseSigning:
		return nil, fmt.Errorf("keys: an identity has no %v keyset", use)
	case s.external():
		return nil, ErrDetached
	}
	return ringKeyset(s.signing)
}

// holds reports whether the keys are of that type.
func (t *TinkKeyset) holds(kind keyset.Type) bool { return t != nil && t.kind == kind }

// ring gives the keys of an imported keyset a life. Tink keeps no times, so all
// that happened happened now. Its manager appends: an enabled key behind the
// primary is taken as pending, to be promoted next; one before it as retiring.
func (t *TinkKeyset) ring(kind keyset.Type, now time.Time) (ring.Ring, error) {
	if !t.holds(kind) {
		return ring.Ring{}, tinkError(TinkType, 0)
	}
	k, err := t.set.Keyset()
	if err != nil {
		return ring.Ring{}, err
	}
	at := uint64(now.Unix())
	lives, passed := make([]ring.Life, len(k.Keys)), false
	for i, key := range k.Keys {
		l := ring.Life{ID: key.ID, Created: at, Promoted: at, Retired: at}
		switch {
		case key.Status == keyset.Disabled:
			l.Archived = at
		case key.ID == k.Primary:
			passed, l.Retired = true, 0
		case passed:
			l.Promoted, l.Retired = 0, 0
		}
		lives[i] = l
	}
	return ring.Ring{Kind: kind, Set: t.set, Lives: lives}, nil
}

// ImportIdentity makes an identity with a new root around keysets that come from
// Tink: Ed25519 for signing and X-Wing (HPKE with HKDF-SHA-256 and AES-256-GCM) for
// sealing. A nil keyset is made new. The first statement is valid for
// [MaxLifetime].
func ImportIdentity(name string, signing, sealing *TinkKeyset) (*Identity, error) {
	root, err := newRoot()
	if err != nil {
		return nil, err
	}
	now := time.Now()
	s := &identityState{root: root}
	if s.signing, err = importRing(signing, keyset.Ed25519, now); err != nil {
		return nil, err
	}
	if s.sealing, err = importRing(sealing, keyset.XWing, now); err != nil {
		return nil, err
	}
	return s.begin(name, now)
}

// ImportSharedKeyset makes a shared keyset of X_AES_GCM keys with a salt of 12 bytes
// or AES256_GCM keys, and HMAC-SHA-256 keys of 32 bytes with tags of 32, both from
// Tink. The first pairs up with the first, and so on, in the same states.
//
// AES256_GCM keys seal once the keyset is in a keystore.Store, see [ErrSealLimit]. What
// Tink seals under them elsewhere is counted by nobody.
func ImportSharedKeyset(aeads, macs *TinkKeyset) (*SharedKeyset, error) {
	if aeads.empty() || macs.empty() {
		return nil, missing.Arg("TinkKeyset")
	}
	now := time.Now()
	s, kind := new(sharedState), keyset.XAESGCM
	if aeads.holds(keyset.AESGCM) {
		kind = keyset.AESGCM
	}
	var err error
	if s.aeads, err = aeads.ring(kind, now); err != nil {
		return nil, err
	}
	if s.macs, err = macs.ring(keyset.HMAC, now); err != nil {
		return nil, err
	}
	if !s.paired() {
		return nil, tinkError(TinkUnpaired, 0)
	}
	if common, err := commonKey(s.aeads, s.macs); err != nil {
		return nil, err
	} else if common != 0 {
		return nil, tinkError(TinkSharedKey, common)
	}
	if err := s.load(nil); err != nil {
		return nil, err
	}
	return newSharedKeyset(s), nil
}

func importRing(t *TinkKeyset, kind keyset.Type, now time.Time) (ring.Ring, error) {
	if t == nil {
		return ring.New(kind, now)
	}
	if t.empty() {
		return ring.Ring{}, missing.Arg("TinkKeyset")
	}
	return t.ring(kind, now)
}

// commonKey returns the id of a key of r that is one of the other ring's too, 0 for none.
func commonKey(r, other ring.Ring) (uint32, error) {
	a, err := r.Set.Keyset()
	if err != nil {
		return 0, err
	}
	b, err := other.Set.Keyset()
	return firstCommon(a, b), err
}
