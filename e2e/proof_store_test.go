//go:build !js

package e2e_test

import (
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/hopseal/hopseal/e2e"
	"github.com/hopseal/hopseal/e2e/internal/flow"
	"github.com/hopseal/hopseal/internal/engine"
	"github.com/hopseal/hopseal/keys"
	"github.com/hopseal/hopseal/keys/keystore"
	"github.com/hopseal/hopseal/keys/trust"
)

// rotatedIdentity returns an identity that lists two signing keys and holds both.
func rotatedIdentity(t *testing.T) *keys.Identity {
	t.Helper()
	store, err := keystore.Create(t.Context(), filepath.Join(t.TempDir(), "carol"), keystore.Passphrase([]byte("upriver lagoon cassette mulberry trombone")), newIdentity("carol"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	key, err := store.Add(keystore.KeyRef{Use: keys.UseSigning})
	if err == nil {
		err = store.Promote(keystore.KeyRef{Use: keys.UseSigning, TinkID: key})
	}
	if err != nil {
		t.Fatal(err)
	}
	return store.Identity()
}

// A22: a signed message names its key, and no other is tried: neither a good signature by
// another key that the sender lists, nor one by a key that it does not.
func TestA22SignedMessageNamesItsKey(t *testing.T) {
	rotated := rotatedIdentity(t)
	listed := rotated.Public().VerifyingKeys()
	retired, ok := rotated.SignerOf(listed[1].ID())
	if len(listed) != 2 || !ok {
		t.Fatalf("%d keys are listed, and the retired one is held: %v", len(listed), ok)
	}
	primary, other := listed[0].ID(), listed[1].ID()
	strange, stranger := mallory.Signing()
	for name, test := range map[string]struct {
		named keys.SigningKeyID
		by    keys.Signer
		good  bool
	}{
		"by the primary key":                   {primary, rotated.Signer(), true},
		"by the retired key":                   {other, retired, true},
		"by the retired key, named as primary": {primary, retired, false},
		"by the primary key, named as retired": {other, rotated.Signer(), false},
		"by a key that is not listed":          {strange, stranger, false},
		"by no key":                            {keys.SigningKeyID{}, rotated.Signer(), false},
	} {
		t.Run(name, func(t *testing.T) {
			c, s := overAs(t, func(c *e2e.Config, s *e2e.ServerConfig) {
				signed(c, s)
				s.Identity = rotated
				c.Verifier = trust.Pinned(rotated.Fingerprint())
			})
			header := (&engine.Header{Time: time.Now()}).Append(nil)
			signature, err := test.by.Sign(engine.Signed([32]byte(e2e.IDOf(s)), false, 1, header, test.named, []byte("hello")))
			if err != nil {
				t.Fatal(err)
			}
			if err := e2e.SendRaw(s, slices.Concat(header, test.named[:], signature, []byte("hello"))); err != nil {
				t.Fatal(err)
			}
			if test.good {
				mustReceive(t, c, "hello")
				return
			}
			wantEnd(t, c, e2e.CloseError{Remote: true, Err: flow.ErrSignature}, false)
		})
	}
}
