//go:build !js

package envelope

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/hopseal/hopseal/internal/keyset"
	"github.com/hopseal/hopseal/keys"
	"github.com/hopseal/hopseal/keys/insecurecleartext"
	"github.com/hopseal/hopseal/keys/keyio"
	"github.com/hopseal/hopseal/keys/keystore"
)

var testPassphrase = []byte("upriver lagoon cassette mulberry trombone")

// gcmTwins returns the links of the shared suites with AES256_GCM keys that have the
// bytes of their XAES-256-GCM keys, in a store that counts what they seal.
func gcmTwins(t testing.TB, all []link) (out []link) {
	t.Helper()
	take := func(kind keyset.Type, secret []byte) *keyio.TinkKeyset {
		one := made(keyset.Generate(kind))
		one.Keys[0].Secret = secret
		return made(keyio.ReadCleartextTinkKeyset(made(one.Append(nil)), keyio.TinkBinary, insecurecleartext.Token{}))
	}
	aead, mac := pairSecrets(t, all[0].Sealer.Shared)
	set := made(keyio.ImportSharedKeyset(take(keyset.AESGCM, aead), take(keyset.HMAC, mac)))
	s := made(keystore.Create(t.Context(), filepath.Join(t.TempDir(), "twin"), keystore.Passphrase(testPassphrase), identity(t, "twin")))
	t.Cleanup(func() { s.Close() })
	must(s.PutSharedKeyset("twin", set))
	for _, l := range all[:2] {
		l.name += twin
		l.Sealer.Shared, l.Opener.Shared = set, set
		out = append(out, l)
	}
	return out
}

// keyFile returns the bytes of a store's file.
func keyFile(t testing.TB) []byte {
	t.Helper()
	path := filepath.Join(t.TempDir(), "erin")
	s, err := keystore.Create(t.Context(), path, keystore.Passphrase(testPassphrase), identity(t, "erin"))
	if err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(path)
	if err = errors.Join(err, s.Close()); err != nil {
		t.Fatal(err)
	}
	return b
}

// keyFileOpener opens bytes as a store with the right passphrase.
func keyFileOpener(t testing.TB) func([]byte) error {
	return func(b []byte) error {
		path := filepath.Join(t.TempDir(), "store")
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		s, err := keystore.Open(t.Context(), path, keystore.Passphrase(testPassphrase))
		if err == nil {
			s.Close()
		}
		return err
	}
}

// retiredFailures are those of messages under keys that are archived.
func retiredFailures(t *testing.T) (out []failure) {
	r := newRinged(t, 1)
	var before []*kit
	for _, l := range r.links() {
		before = append(before, newKit(t, l))
	}
	for _, ref := range []struct {
		*keystore.Store
		keystore.KeyRef
	}{{r.alices, keystore.KeyRef{Use: keys.UseShared, Keyset: "s"}}, {r.bobs, keystore.KeyRef{Use: keys.UseSealing}}} {
		old := primary(t, ref.Store, ref.KeyRef)
		another(t, ref.Store, ref.KeyRef)
		ref.TinkID = old
		if err := ref.Disable(ref.KeyRef); err != nil {
			t.Fatal(err)
		}
	}
	for _, k := range before {
		out = append(out, openAll(k.suite, ReasonRetired, k.opener(), &Verifier{}, k.envelope(), k.stream())...)
	}
	return out
}

func primary(t *testing.T, s *keystore.Store, ref keystore.KeyRef) uint32 {
	t.Helper()
	all := s.Identity().Keys()
	if ref.Use == keys.UseShared {
		set, _ := s.SharedKeyset(ref.Keyset)
		all = set.Keys()
	}
	for _, k := range all {
		if k.Use == ref.Use && k.Stage == keys.StagePrimary {
			return k.TinkID
		}
	}
	t.Fatal("no primary")
	return 0
}
