//go:build !js

package keyio

import (
	"crypto/ed25519"
	"testing"

	"github.com/tink-crypto/tink-go/v2/tink"

	"github.com/hopseal/hopseal/internal/nilargs"
	"github.com/hopseal/hopseal/keys"
)

// TestNothingPanicsOnNil gives every function and method nil for each argument.
func TestNothingPanicsOnNil(t *testing.T) {
	id := testIdentity(t, "alice")
	set, shared := must(ExportIdentity(id, keys.UseSigning)), must(keys.GenerateSharedKeyset())
	nilargs.Table{
		Calls: map[string]any{
			"ExportIdentity": func(id *keys.Identity) error { return second(ExportIdentity(id, keys.UseSigning)) },
			"ExportSharedKeyset": func(s *keys.SharedKeyset) error {
				_, _, err := ExportSharedKeyset(s)
				return err
			},
			"ImportIdentity": func(signing, sealing *TinkKeyset) error {
				return second(ImportIdentity("x", signing, sealing))
			},
			"ImportSharedKeyset":   ImportSharedKeyset,
			"ReadTinkKeyset":       func(kek tink.AEAD) error { return second(ReadTinkKeyset([]byte("x"), TinkJSON, kek, nil)) },
			"TinkKeyset.Encrypted": (*TinkKeyset).Encrypted,
		},
		Values: []any{
			func() *keys.Identity { return id }, func() *keys.SharedKeyset { return shared },
			func() *TinkKeyset { return set }, func() tink.AEAD { return nil },
			func() ed25519.PublicKey { return id.Public().RootKey() },
		},
		Optional: []string{"ImportIdentity: *keyio.TinkKeyset"},
	}.Check(t)
}
