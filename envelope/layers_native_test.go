//go:build !js

package envelope

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/hopseal/hopseal/keys"
)

var testPassphrase = []byte("correct horse battery staple")

// keyFile returns the bytes of a store's file.
func keyFile(t testing.TB) []byte {
	t.Helper()
	path := filepath.Join(t.TempDir(), "erin")
	s, err := keys.CreateStore(t.Context(), path, keys.Passphrase(testPassphrase), identity(t, "erin"))
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
		s, err := keys.OpenStore(t.Context(), path, keys.Passphrase(testPassphrase))
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
		*keys.Store
		keys.KeyRef
	}{{r.alices, keys.KeyRef{Use: keys.UseShared, Keyset: "s"}}, {r.bobs, keys.KeyRef{Use: keys.UseSealing}}} {
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

func primary(t *testing.T, s *keys.Store, ref keys.KeyRef) uint32 {
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
