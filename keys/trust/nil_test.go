//go:build !js

package trust

import (
	"context"
	"testing"

	"github.com/hopseal/hopseal/internal/nilargs"
	"github.com/hopseal/hopseal/keys"
)

// TestNothingPanicsOnNil gives every function and method nil for each argument.
func TestNothingPanicsOnNil(t *testing.T) {
	id, peer := testIdentity(t, "alice"), testIdentity(t, "peer").Public()
	succession := must(Succeed(id, testIdentity(t, "next")))
	nilargs.Table{
		Calls: map[string]any{
			"NewAuthority": func(p *keys.PublicIdentity) error {
				return NewAuthority(p).Verify(t.Context(), Expected{Room: "r"}, peer)
			},
			"Authority.Update": (*Authority).Update, "Authority.Revoke": (*Authority).Revoke,
			"Authority.OnChange": (*Authority).OnChange, "Authority.Verify": (*Authority).Verify,
			"KnownPeers.Verify": (*KnownPeers).Verify, "KnownPeers.Admit": (*KnownPeers).Admit,
			"KnownPeers.OnChange": (*KnownPeers).OnChange, "KnownPeers.Revoke": (*KnownPeers).Revoke,
			"KnownPeers.Succeed": (*KnownPeers).Succeed,
			"KnownPeers.RefuseRevoked": func(k *KnownPeers, v Verifier) error {
				return new(KnownPeers).RefuseRevoked(v).Verify(t.Context(), Expected{}, peer)
			},
			"Succeed": Succeed,
			"Vouch": func(authority *keys.Identity) error {
				_, err := Vouch(authority, Expected{Room: "r"}, peer.Fingerprint(), peer.Expires())
				return err
			},
			"what Pinned returns":          Pinned(peer.Fingerprint()).Verify,
			"what InsecureAnyone returns":  InsecureAnyone().Verify,
			"what TrustOnFirstUse returns": new(KnownPeers).TrustOnFirstUse().Verify,
		},
		Values: []any{
			func() context.Context { return t.Context() },
			func() *keys.Identity { return id }, func() *keys.PublicIdentity { return peer },
			func() *KnownPeers { return new(KnownPeers) }, func() *Succession { return succession },
			func() *Authority { return NewAuthority(id.Public()) },
			func() Verifier { return Pinned(peer.Fingerprint()) },
			func() func() { return func() {} },
		},
		Panics: []string{
			"NewAuthority: *keys.PublicIdentity", "NewAuthority: new(keys.PublicIdentity)",
			"Authority.OnChange: func()", "KnownPeers.OnChange: func()",
		},
	}.Check(t)
}
