//go:build !js

package keys

import (
	"context"
	"crypto/ed25519"
	"path/filepath"
	"testing"
	"time"

	"github.com/tink-crypto/tink-go/v2/core/registry"
	"github.com/tink-crypto/tink-go/v2/tink"

	"github.com/hopseal/hopseal/internal/nilargs"
	"github.com/hopseal/hopseal/keys/insecurecleartext"
)

// TestNothingPanicsOnNil gives every function and method nil for each argument.
func TestNothingPanicsOnNil(t *testing.T) {
	cheap(t)
	s, _ := newStore(t)
	replica, err := OpenReplica(t.Context(), s.path, passphrase)
	if err != nil {
		t.Fatal(err)
	}
	canceled, cancel := context.WithCancel(t.Context())
	cancel()
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
	backup, err := s.MarshalCleartext(insecurecleartext.Token{})
	if err != nil {
		t.Fatal(err)
	}
	other, closed := newStore(t)
	other.Close()
	peer, trust := testIdentity(t, "peer").Public(), new(KnownPeers)
	nilargs.Table{
		Calls: map[string]any{
			"CreateStore": func(ctx context.Context, secret Secret, id *Identity) error {
				_, err := CreateStore(ctx, filepath.Join(t.TempDir(), "s"), secret, id)
				return err
			},
			"RestoreStore": func(ctx context.Context, secret Secret) error {
				_, err := RestoreStore(ctx, filepath.Join(t.TempDir(), "s"), secret, backup, insecurecleartext.Token{})
				return err
			},
			"OpenStore": func(ctx context.Context, secret Secret) error {
				_, err := OpenStore(ctx, closed, secret)
				return err
			},
			"OpenReplica": func(ctx context.Context, secret Secret) error {
				_, err := OpenReplica(ctx, s.path, secret)
				return err
			},
			"KMS": func(client registry.KMSClient) error {
				_, err := CreateStore(t.Context(), filepath.Join(t.TempDir(), "s"), KMS(client, "x"), id)
				return err
			},
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
			"Replica.Run":        (*Replica).Run,
			"StoreClient.Rotate": func() {}, // nil is DefaultRotation
			"OpenStoreClient": func(ctx context.Context, secret Secret) error {
				_, err := OpenStoreClient(ctx, s.path, secret)
				return err
			},
			"StoreClient.Admit": (*StoreClient).Admit, "StoreClient.RevokePeer": (*StoreClient).RevokePeer,
			"StoreClient.Succeed": (*StoreClient).Succeed, "StoreClient.PutSharedKeyset": (*StoreClient).PutSharedKeyset,
			"StoreClient.UpdateSharedKeyset": (*StoreClient).UpdateSharedKeyset,
			"Store.PutSharedKeyset":          (*Store).PutSharedKeyset, "Store.UpdateSharedKeyset": (*Store).UpdateSharedKeyset,

			"what Pinned returns":           Pinned(peer.Fingerprint()).Verify,
			"what InsecureTrustAnyone does": InsecureTrustAnyone().Verify,
			"what TrustOnFirstUse returns":  new(KnownPeers).TrustOnFirstUse().Verify,
		},
		Values: []any{
			func() context.Context { return canceled },
			func() *Store { return s }, func() *Replica { return replica },
			func() Secret { return passphrase },
			func() *Identity { return id }, func() *PublicIdentity { return peer },
			func() *SharedKeyset { return set }, func() *TinkKeyset { return tinkSet },
			func() *KnownPeers { return trust }, func() *Succession { return succession },
			func() *Authority { return NewAuthority(id.Public()) },
			func() *StoreClient { return new(StoreClient) }, func() Verifier { return Pinned(peer.Fingerprint()) },
			func() Signer { return id.Signer() },
			func() ed25519.PublicKey { return id.Public().RootKey() },
			func() registry.KMSClient { return nil }, func() tink.AEAD { return nil },
			func() func(error) { return func(error) {} }, func() func() { return func() {} },
			func() time.Duration { return time.Second },
		},
		Optional: []string{
			"PublicIdentity.Equal: *keys.PublicIdentity", "PublicIdentity.Equal: new(keys.PublicIdentity)",
			"Replica.Run: func(error)", "ImportIdentity: *keys.TinkKeyset",
		},
		Panics: []string{
			"NewAuthority: *keys.PublicIdentity", "NewAuthority: new(keys.PublicIdentity)",
			"Authority.OnChange: func()", "KnownPeers.OnChange: func()",
		},
	}.Check(t)
}
