package keystore

import (
	"context"
	"path/filepath"
	"testing"
	"time"

	"github.com/tink-crypto/tink-go/v2/core/registry"

	"github.com/hopseal/hopseal/internal/nilargs"
	"github.com/hopseal/hopseal/keys"
	"github.com/hopseal/hopseal/keys/insecurecleartext"
	"github.com/hopseal/hopseal/keys/trust"
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
	set, _ := keys.GenerateSharedKeyset()
	succession, err := trust.Succeed(id, testIdentity(t, "next"))
	if err != nil {
		t.Fatal(err)
	}
	backup, err := s.MarshalCleartext(insecurecleartext.Token{})
	if err != nil {
		t.Fatal(err)
	}
	other, closed := newStore(t)
	other.Close()
	peer, known := testIdentity(t, "peer").Public(), new(trust.KnownPeers)
	nilargs.Table{
		Calls: map[string]any{
			"Create": func(ctx context.Context, secret Secret, id *keys.Identity) error {
				_, err := Create(ctx, filepath.Join(t.TempDir(), "s"), secret, id)
				return err
			},
			"Restore": func(ctx context.Context, secret Secret) error {
				_, err := Restore(ctx, filepath.Join(t.TempDir(), "s"), secret, backup, insecurecleartext.Token{})
				return err
			},
			"Open": func(ctx context.Context, secret Secret) error {
				_, err := Open(ctx, closed, secret)
				return err
			},
			"OpenReplica": func(ctx context.Context, secret Secret) error {
				_, err := OpenReplica(ctx, s.path, secret)
				return err
			},
			"KMS": func(client registry.KMSClient) error {
				_, err := Create(t.Context(), filepath.Join(t.TempDir(), "s"), KMS(client, "x"), id)
				return err
			},
			"Replica.Run":   (*Replica).Run,
			"Client.Rotate": func() {}, // nil is DefaultRotation
			"OpenClient": func(ctx context.Context, secret Secret) error {
				_, err := OpenClient(ctx, s.path, secret)
				return err
			},
			"Client.Admit": (*Client).Admit, "Client.RevokePeer": (*Client).RevokePeer,
			"Client.Succeed": (*Client).Succeed, "Client.PutSharedKeyset": (*Client).PutSharedKeyset,
			"Client.UpdateSharedKeyset": (*Client).UpdateSharedKeyset,
			"Store.PutSharedKeyset":     (*Store).PutSharedKeyset, "Store.UpdateSharedKeyset": (*Store).UpdateSharedKeyset,
		},
		Values: []any{
			func() context.Context { return canceled },
			func() *Store { return s }, func() *Replica { return replica },
			func() Secret { return passphrase },
			func() *keys.Identity { return id }, func() *keys.PublicIdentity { return peer },
			func() *keys.SharedKeyset { return set },
			func() *trust.KnownPeers { return known }, func() *trust.Succession { return succession },
			func() *Client { return new(Client) },
			func() registry.KMSClient { return nil },
			func() func(error) { return func(error) {} }, func() func() { return func() {} },
			func() time.Duration { return time.Second },
		},
		Optional: []string{
			"Replica.Run: func(error)",
		},
	}.Check(t)
}
