//go:build !js

package e2e_test

import (
	"context"
	"errors"
	"path/filepath"
	"testing"

	"github.com/hopseal/hopseal/e2e"
	"github.com/hopseal/hopseal/keys"
	"github.com/hopseal/hopseal/keys/keystore"
	"github.com/hopseal/hopseal/keys/trust"
)

// A50: what a store does to its identity reaches open sessions: first another signing
// key, by which messages are checked that are signed from then on, and in the end the
// revocation, which ends them at both ends.
func TestA50StoreRotatesAndRevokesInOpenSessions(t *testing.T) {
	store, err := keystore.Create(t.Context(), filepath.Join(t.TempDir(), "carol"), keystore.Passphrase([]byte("upriver lagoon cassette mulberry trombone")), newIdentity("carol"))
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	m := meet(t, func(m *meeting) {
		m.client.Identity, m.client.Proof, m.serv.Proof = store.Identity(), e2e.ProofEd25519, e2e.ProofEd25519
	})
	first := m.s.Peer().VerifyingKey().ID()
	key, err := store.Add(keystore.KeyRef{Use: keys.UseSigning})
	if err == nil {
		err = store.Promote(keystore.KeyRef{Use: keys.UseSigning, TinkID: key})
	}
	if err != nil {
		t.Fatal(err)
	}
	m.talk(t) // with the old key, or the new one
	if err := m.c.Renew(t.Context()); err != nil {
		t.Fatal(err)
	}
	m.talk(t)
	mustSend(t, m.c, "signed")
	message, err := m.c.ReceiveMessage(t.Context())
	if err != nil || string(message.Data) != "signed" {
		t.Fatal(err)
	}
	if now := m.s.Peer().VerifyingKey().ID(); now == first || now != store.Identity().Public().VerifyingKey().ID() {
		t.Error("the server does not know the new key")
	}
	if err := store.Revoke(); err != nil {
		t.Fatal(err)
	}
	m.c.Send(context.Background(), []byte("is anybody there"))
	m.wantOver(t, m.s, e2e.ErrUntrusted, e2e.CodeRefused)
	var refusal *trust.Error
	if _, err := m.s.Receive(t.Context()); !errors.As(err, &refusal) || refusal.Reason != trust.Revoked {
		t.Errorf("the server says %v", err)
	}
}
