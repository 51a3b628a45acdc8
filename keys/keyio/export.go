package keyio

import (
	"fmt"

	"github.com/hopseal/hopseal/internal/keyset"
	"github.com/hopseal/hopseal/keys"
	"github.com/hopseal/hopseal/keys/internal/bridge"
	"github.com/hopseal/hopseal/keys/internal/missing"
	"github.com/hopseal/hopseal/keys/internal/ring"
)

// The functions of package keys for this package, see package bridge.
var (
	identities    = bridge.Take[bridge.Identities[*keys.Identity]]()
	sharedKeysets = bridge.Take[bridge.SharedKeysets[*keys.SharedKeyset]]()
	imports       = bridge.Take[bridge.Imports[*keys.Identity, *keys.SharedKeyset]]()
)

// ExportIdentity returns an identity's signing or sealing keyset, with its keys in every state. If an
// external Signer signs, it returns [keys.ErrDetached] for the signing keyset.
func ExportIdentity(id *keys.Identity, use keys.Use) (*TinkKeyset, error) {
	if id == nil || id.Public() == nil {
		return nil, missing.Arg("Identity")
	}
	signing, sealing := identities.Rings(id)
	switch {
	case use == keys.UseSealing:
		return exported(sealing)
	case use != keys.UseSigning:
		return nil, fmt.Errorf("keys: an identity has no %v keyset", use)
	case signing.Lives == nil:
		return nil, keys.ErrDetached
	}
	return exported(signing)
}

// ExportSharedKeyset returns the two keysets whose keys form pairs: X_AES_GCM or AES256_GCM, and
// HMAC.
func ExportSharedKeyset(s *keys.SharedKeyset) (aeads, macs *TinkKeyset, err error) {
	if s == nil || s.Primary() == nil {
		return nil, nil, missing.Arg("SharedKeyset")
	}
	aeadRing, macRing := sharedKeysets.Rings(s)
	if aeads, err = exported(aeadRing); err != nil {
		return nil, nil, err
	}
	macs, err = exported(macRing)
	return aeads, macs, err
}

// exported returns the keyset of a ring. It refuses one that this package would not read again: if a
// key with a prefix has succeeded an imported key without one, Tink would try both keys.
func exported(r ring.Ring) (*TinkKeyset, error) {
	b, err := r.Set.Bytes()
	if err != nil {
		return nil, err
	}
	k, err := keyset.Parse(b)
	if err != nil {
		return nil, err
	}
	if err := unambiguous(k); err != nil {
		return nil, err
	}
	return tinkKeyset(r.Kind, b)
}
