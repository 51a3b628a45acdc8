//go:build !js

package keyio

import (
	"crypto/ed25519"
	"testing"
	"time"

	"github.com/hopseal/hopseal/internal/keyset"
	"github.com/hopseal/hopseal/internal/strict"
	"github.com/hopseal/hopseal/keys"
	"github.com/hopseal/hopseal/keys/internal/ring"
)

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

// rootKey is the private key of an identity's root.
func rootKey(id *keys.Identity) ed25519.PrivateKey {
	r := strict.NewReader(must(id.MarshalCleartext(cleartext)))
	r.Array(5)
	r.Uint()
	return ed25519.NewKeyFromSeed(r.Bin(ed25519.SeedSize, ed25519.SeedSize))
}

type rings struct{ signing, sealing ring.Ring }

func ringsOf(id *keys.Identity) (r rings) {
	r.signing, r.sealing = identities.Rings(id)
	return r
}

func keysOf(t *TinkKeyset) keyset.Keyset { return must(keyset.Parse(must(t.bytes()))) }

// aesKeyset is a keyset of one AES256_GCM key whose messages nobody counts.
func aesKeyset(t testing.TB) *keys.SharedKeyset {
	t.Helper()
	now := time.Now()
	return must(imports.SharedKeyset(must(ring.New(keyset.AESGCM, now)), must(ring.New(keyset.HMAC, now))))
}

// An outsideSigner is a key that no identity knows how to save.
type outsideSigner ed25519.PrivateKey

func (s outsideSigner) PublicKey() ed25519.PublicKey {
	return ed25519.PrivateKey(s).Public().(ed25519.PublicKey)
}

func (s outsideSigner) Sign(message []byte) ([]byte, error) {
	return ed25519.Sign(ed25519.PrivateKey(s), message), nil
}
