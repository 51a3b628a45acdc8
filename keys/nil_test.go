//go:build !js

package keys

import (
	"context"
	"crypto/ed25519"
	"testing"

	"github.com/tink-crypto/tink-go/v2/tink"

	"github.com/hopseal/hopseal/internal/nilargs"
)

// TestNothingPanicsOnNil gives every function and method nil for each argument.
func TestNothingPanicsOnNil(t *testing.T) {
	id := testIdentity(t, "alice")
	set, _ := GenerateSharedKeyset()
	tinkSet, err := id.TinkKeyset(UseSigning)
	if err != nil {
		t.Fatal(err)
	}
	peer := testIdentity(t, "peer").Public()
	nilargs.Table{
		Calls: map[string]any{
			"GenerateIdentityWith": func(root Signer) error {
				_, err := GenerateIdentityWith("x", root, nil)
				return err
			},
			"ImportIdentity": func(signing, sealing *TinkKeyset) error {
				_, err := ImportIdentity("x", signing, sealing)
				return err
			},
			"ImportSharedKeyset": ImportSharedKeyset,
			"ReadTinkKeyset":     func(kek tink.AEAD) error { _, err := ReadTinkKeyset([]byte("x"), TinkJSON, kek, nil); return err },

			"Identity.Attach":      (*Identity).Attach,
			"PublicIdentity.Equal": (*PublicIdentity).Equal, "TinkKeyset.Encrypted": (*TinkKeyset).Encrypted,
		},
		Values: []any{
			func() context.Context { return t.Context() },
			func() *Identity { return id }, func() *PublicIdentity { return peer },
			func() *SharedKeyset { return set }, func() *TinkKeyset { return tinkSet },
			func() Signer { return id.Signer() },
			func() ed25519.PublicKey { return id.Public().RootKey() },
			func() tink.AEAD { return nil },
			func() func() { return func() {} },
		},
		Optional: []string{
			"PublicIdentity.Equal: *keys.PublicIdentity", "PublicIdentity.Equal: new(keys.PublicIdentity)",
			"ImportIdentity: *keys.TinkKeyset",
		},
	}.Check(t)
}
