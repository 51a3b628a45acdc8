package keyio

import (
	"time"

	"github.com/hopseal/hopseal/internal/keyset"
	"github.com/hopseal/hopseal/keys"
	"github.com/hopseal/hopseal/keys/internal/missing"
	"github.com/hopseal/hopseal/keys/internal/ring"
)

// ImportIdentity makes an identity with a new root from keysets that come from Tink: Ed25519 for
// signing and X-Wing (HPKE with HKDF-SHA-256 and AES-256-GCM) for sealing. It makes a new keyset for
// one that is nil. The first statement is valid for [keys.MaxLifetime].
func ImportIdentity(name string, signing, sealing *TinkKeyset) (*keys.Identity, error) {
	now := time.Now()
	signingRing, err := importedOrNew(signing, keyset.Ed25519, now)
	if err != nil {
		return nil, err
	}
	sealingRing, err := importedOrNew(sealing, keyset.XWing, now)
	if err != nil {
		return nil, err
	}
	return imports.Identity(name, signingRing, sealingRing, now)
}

// ImportSharedKeyset makes a shared keyset from two keysets of Tink. Aeads holds X_AES_GCM keys with
// a salt of 12 bytes, or AES256_GCM keys. Macs holds HMAC-SHA-256 keys of 32 bytes with tags of 32.
// The first keys of both form a pair, and so on. The keys of a pair must be in the same state.
//
// AES256_GCM keys seal only once the keyset is in a keystore.Store, see [keys.ErrSealLimit]. Nobody
// counts what Tink seals under them elsewhere.
func ImportSharedKeyset(aeads, macs *TinkKeyset) (*keys.SharedKeyset, error) {
	if aeads.empty() || macs.empty() {
		return nil, missing.Arg("TinkKeyset")
	}
	now, kind := time.Now(), keyset.XAESGCM
	if aeads.holds(keyset.AESGCM) {
		kind = keyset.AESGCM
	}
	aeadRing, err := imported(aeads, kind, now)
	if err != nil {
		return nil, err
	}
	macRing, err := imported(macs, keyset.HMAC, now)
	if err != nil {
		return nil, err
	}
	if !ring.Paired(aeadRing, macRing) {
		return nil, tinkError(TinkUnpaired, 0)
	}
	if err := noCommonKey(aeadRing, macRing); err != nil {
		return nil, err
	}
	return imports.SharedKeyset(aeadRing, macRing)
}

func noCommonKey(a, b ring.Ring) error {
	k, err := a.Set.Keyset()
	if err != nil {
		return err
	}
	l, err := b.Set.Keyset()
	if err != nil {
		return err
	}
	if id := ring.CommonKey(k, l); id != 0 {
		return tinkError(TinkSharedKey, id)
	}
	return nil
}

func importedOrNew(t *TinkKeyset, kind keyset.Type, now time.Time) (ring.Ring, error) {
	if t == nil {
		return ring.New(kind, now)
	}
	if t.empty() {
		return ring.Ring{}, missing.Arg("TinkKeyset")
	}
	return imported(t, kind, now)
}

// imported gives the keys of a keyset times for their stages. Tink keeps no times, so every step gets
// the present time. Tink's manager appends keys: an enabled key behind the primary becomes a pending
// one, to be promoted next, and one before it becomes a retiring one.
func imported(t *TinkKeyset, kind keyset.Type, now time.Time) (ring.Ring, error) {
	if !t.holds(kind) {
		return ring.Ring{}, tinkError(TinkType, 0)
	}
	b, err := t.bytes()
	if err != nil {
		return ring.Ring{}, err
	}
	set, err := ring.ParseSet(b)
	if err != nil {
		return ring.Ring{}, err
	}
	k, err := set.Keyset()
	if err != nil {
		return ring.Ring{}, err
	}
	return ring.Ring{Kind: kind, Set: set, Lives: livesOf(k, uint64(now.Unix()))}, nil
}

func livesOf(k keyset.Keyset, at uint64) []ring.Life {
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
	return lives
}
