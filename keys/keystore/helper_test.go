package keystore

import (
	"crypto/ed25519"
	"encoding/hex"
	"errors"
	"testing"
	"time"

	"github.com/hopseal/hopseal/internal/keyset"
	"github.com/hopseal/hopseal/internal/strict"
	"github.com/hopseal/hopseal/keys"
	"github.com/hopseal/hopseal/keys/insecurecleartext"
	"github.com/hopseal/hopseal/keys/internal/ring"
	"github.com/hopseal/hopseal/keys/trust"
)

var cleartext = insecurecleartext.Token{}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func second[T any](_ T, err error) error { return err }

func testIdentity(t testing.TB, name string) *keys.Identity {
	t.Helper()
	id, err := keys.GenerateIdentity(name)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func reason(err error) trust.Reason {
	if e, ok := errors.AsType[*trust.Error](err); ok {
		return e.Reason
	}
	return 0
}

func revocationOf(t *testing.T, id *keys.Identity) *keys.PublicIdentity {
	t.Helper()
	p, err := id.Revocation()
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// aesKeyset is a keyset of one AES256_GCM key that nobody counts.
func aesKeyset(t testing.TB) *keys.SharedKeyset {
	t.Helper()
	now := time.Now()
	b := strict.AppendUint(strict.AppendArray(nil, 4), 2)
	for _, kind := range []keyset.Type{keyset.AESGCM, keyset.HMAC} {
		b = must(must(ring.New(kind, now)).Append(b))
	}
	b = strict.AppendUint(strict.AppendArray(b, 1), 0)
	return must(keys.ParseCleartextSharedKeyset(b, cleartext))
}

// rootSeed is the secret of an identity's root.
func rootSeed(id *keys.Identity) []byte {
	r := strict.NewReader(must(id.MarshalCleartext(cleartext)))
	r.Array(5)
	r.Uint()
	return r.Bin(ed25519.SeedSize, ed25519.SeedSize)
}

// reservedOf is how many messages are reserved for each pair of a keyset.
func reservedOf(set *keys.SharedKeyset) (out []uint64) {
	for _, k := range set.Keys() {
		var id [32]byte
		must(hex.Decode(id[:], []byte(k.ID)))
		n, _ := sharedKeysets.Reserved(set, id)
		out = append(out, n)
	}
	return out
}

// An outsideSigner is a key that no identity knows how to save.
type outsideSigner ed25519.PrivateKey

func (s outsideSigner) PublicKey() ed25519.PublicKey {
	return ed25519.PrivateKey(s).Public().(ed25519.PublicKey)
}

func (s outsideSigner) Sign(message []byte) ([]byte, error) {
	return ed25519.Sign(ed25519.PrivateKey(s), message), nil
}
