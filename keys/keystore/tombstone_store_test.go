package keystore

import (
	"errors"
	"testing"

	"github.com/hopseal/hopseal/keys"
	"github.com/hopseal/hopseal/keys/insecurecleartext"
	"github.com/hopseal/hopseal/keys/trust"
)

// A backup takes the revocations along, and so do a store and its replica.
func TestTombstonesAreStored(t *testing.T) {
	alice, bob := testIdentity(t, "alice"), testIdentity(t, "bob")
	cheap(t)
	s, path := newStore(t)
	if err := s.KnownPeers().Revoke(revocationOf(t, alice)); err != nil {
		t.Fatal(err)
	}
	b, err := s.MarshalCleartext(insecurecleartext.Token{})
	if err != nil {
		t.Fatal(err)
	}
	restored, err := Restore(t.Context(), path+"2", passphrase, b, insecurecleartext.Token{})
	if err != nil {
		t.Fatal(err)
	}
	defer restored.Close()
	replica, err := OpenReplica(t.Context(), path, passphrase)
	if err != nil {
		t.Fatal(err)
	}
	at := trust.Expected{Role: trust.RoleClient}
	for name, k := range map[string]*trust.KnownPeers{"restored": restored.KnownPeers(), "replica": replica.KnownPeers()} {
		if err := k.Admit(at, alice.Public()); reason(err) != trust.Revoked {
			t.Errorf("%s: %v", name, err)
		}
	}

	// What a replica learns itself it does not forget when the store changes.
	if err := s.KnownPeers().Admit(at, bob.Public()); err != nil {
		t.Fatal(err)
	}
	told := 0
	replica.KnownPeers().OnChange(func() { told++ })
	refresh := func() {
		t.Helper()
		if changed, err := replica.Refresh(t.Context()); !changed || err != nil {
			t.Fatalf("Refresh: %v, %v", changed, err)
		}
	}
	refresh()
	if err := replica.KnownPeers().Verify(t.Context(), at, revocationOf(t, bob)); reason(err) != trust.Revoked {
		t.Errorf("the revocation: %v", err)
	}
	carol := testIdentity(t, "carol")
	if err := errors.Join(replica.KnownPeers().Revoke(revocationOf(t, carol)), s.KnownPeers().Admit(at, testIdentity(t, "dave").Public())); err != nil {
		t.Fatal(err)
	}
	if told != 3 {
		t.Errorf("told %d times", told)
	}
	refresh()
	for _, id := range []*keys.Identity{bob, carol} {
		if err := replica.KnownPeers().Admit(at, id.Public()); reason(err) != trust.Revoked {
			t.Errorf("forgotten: %v", err)
		}
	}
	if len(replica.KnownPeers().Admitted(at)) != 2 || told != 4 {
		t.Errorf("the replica has %v, and told %d times", replica.KnownPeers().Admitted(at), told)
	}
}
