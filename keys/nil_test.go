//go:build !js

package keys

import (
	"context"
	"crypto/ed25519"
	"testing"

	"github.com/hopseal/hopseal/internal/nilargs"
)

// TestNothingPanicsOnNil gives every function and method nil for each argument.
func TestNothingPanicsOnNil(t *testing.T) {
	id := testIdentity(t, "alice")
	set, _ := GenerateSharedKeyset()
	peer := testIdentity(t, "peer").Public()
	nilargs.Table{
		Calls: map[string]any{
			"GenerateIdentityWith": func(root Signer) error {
				_, err := GenerateIdentityWith("x", root, nil)
				return err
			},
			"Identity.Attach":      (*Identity).Attach,
			"PublicIdentity.Equal": (*PublicIdentity).Equal,
		},
		Values: []any{
			func() context.Context { return t.Context() },
			func() *Identity { return id }, func() *PublicIdentity { return peer },
			func() *SharedKeyset { return set },
			func() Signer { return id.Signer() },
			func() ed25519.PublicKey { return id.Public().RootKey() },
			func() func() { return func() {} },
		},
		Optional: []string{
			"PublicIdentity.Equal: *keys.PublicIdentity", "PublicIdentity.Equal: new(keys.PublicIdentity)",
		},
	}.Check(t)
}
