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
