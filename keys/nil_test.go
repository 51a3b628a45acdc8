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
	succession, err := id.Succeed(testIdentity(t, "next"))
	if err != nil {
		t.Fatal(err)
	}
	peer, trust := testIdentity(t, "peer").Public(), new(KnownPeers)
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
			"NewAuthority":       func(p *PublicIdentity) error { return NewAuthority(p).Verify(t.Context(), Expected{Room: "r"}, peer) },

			"Authority.Update": (*Authority).Update, "Authority.Revoke": (*Authority).Revoke,
			"Authority.OnChange": (*Authority).OnChange, "Authority.Verify": (*Authority).Verify,
			"Identity.Attach": (*Identity).Attach, "Identity.Succeed": (*Identity).Succeed,
			"KnownPeers.Verify": (*KnownPeers).Verify, "KnownPeers.Admit": (*KnownPeers).Admit,
			"KnownPeers.OnChange": (*KnownPeers).OnChange, "KnownPeers.Revoke": (*KnownPeers).Revoke,
			"KnownPeers.Succeed": (*KnownPeers).Succeed,
			"KnownPeers.RefuseRevoked": func(k *KnownPeers, v Verifier) error {
				return new(KnownPeers).RefuseRevoked(v).Verify(t.Context(), Expected{}, peer)
			},
			"PublicIdentity.Equal": (*PublicIdentity).Equal, "TinkKeyset.Encrypted": (*TinkKeyset).Encrypted,
			"what Pinned returns":           Pinned(peer.Fingerprint()).Verify,
			"what InsecureTrustAnyone does": InsecureTrustAnyone().Verify,
			"what TrustOnFirstUse returns":  new(KnownPeers).TrustOnFirstUse().Verify,
		},
		Values: []any{
			func() context.Context { return t.Context() },
			func() *Identity { return id }, func() *PublicIdentity { return peer },
			func() *SharedKeyset { return set }, func() *TinkKeyset { return tinkSet },
			func() *KnownPeers { return trust }, func() *Succession { return succession },
			func() *Authority { return NewAuthority(id.Public()) },
			func() Verifier { return Pinned(peer.Fingerprint()) },
			func() Signer { return id.Signer() },
			func() ed25519.PublicKey { return id.Public().RootKey() },
			func() tink.AEAD { return nil },
			func() func() { return func() {} },
		},
		Optional: []string{
			"PublicIdentity.Equal: *keys.PublicIdentity", "PublicIdentity.Equal: new(keys.PublicIdentity)",
			"ImportIdentity: *keys.TinkKeyset",
		},
		Panics: []string{
			"NewAuthority: *keys.PublicIdentity", "NewAuthority: new(keys.PublicIdentity)",
			"Authority.OnChange: func()", "KnownPeers.OnChange: func()",
		},
	}.Check(t)
}
