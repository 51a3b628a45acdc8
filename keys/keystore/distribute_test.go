package keystore

import (
	"errors"
	"testing"
	"time"

	"github.com/hopseal/hopseal/keys"
	"github.com/hopseal/hopseal/keys/insecurecleartext"
	"github.com/hopseal/hopseal/keys/trust"
)

// handOver moves a shared keyset as a file or a message would.
func handOver(t *testing.T, s *Store) *keys.SharedKeyset {
	t.Helper()
	set, _ := s.SharedKeyset("orders")
	b, err := set.MarshalCleartext(insecurecleartext.Token{})
	if err != nil {
		t.Fatal(err)
	}
	again, err := keys.ParseCleartextSharedKeyset(b, insecurecleartext.Token{})
	if err != nil {
		t.Fatal(err)
	}
	return again
}

// holders returns two stores with one shared keyset.
func holders(t *testing.T) (a, b *Store) {
	t.Helper()
	cheap(t)
	a, _ = newStore(t)
	b, _ = newStore(t)
	set, _ := keys.GenerateSharedKeyset()
	if err := a.PutSharedKeyset("orders", set); err != nil {
		t.Fatal(err)
	}
	if err := b.PutSharedKeyset("orders", handOver(t, a)); err != nil {
		t.Fatal(err)
	}
	return a, b
}

// One holder rotates, the other follows, and what it handed out before stays live.
func TestHoldersOfASharedKeysetRotateTogether(t *testing.T) {
	a, b := holders(t)
	inUse, _ := b.SharedKeyset("orders")
	for _, verb := range []string{"add", "promote", "disable", "destroy"} {
		if err := takeStep(a, "shared "+verb); err != nil {
			t.Fatal(err)
		}
		for range 2 { // twice changes nothing
			if err := b.UpdateSharedKeyset("orders", handOver(t, a)); err != nil {
				t.Fatalf("after %s: %v", verb, err)
			}
		}
		ref := KeyRef{Use: keys.UseShared, Keyset: "orders"}
		if stages(a.keys(ref), keys.UseShared) != stages(inUse.Keys(), keys.UseShared) {
			t.Fatalf("after %s: %v, want %v", verb, inUse.Keys(), a.keys(ref))
		}
	}
	set, _ := a.SharedKeyset("orders")
	if inUse.Primary().ID() != set.Primary().ID() {
		t.Error("they seal with different keys")
	}
	set, _ = reopen(t, b).SharedKeyset("orders")
	if set.Primary().ID() != inUse.Primary().ID() {
		t.Error("it is not on disk")
	}
}

func TestSharedKeysetDoesNotGoBack(t *testing.T) {
	a, b := holders(t)
	first := handOver(t, a)
	for _, verb := range []string{"add", "promote"} {
		if err := takeStep(a, "shared "+verb); err != nil {
			t.Fatal(err)
		}
	}
	newer := handOver(t, a)
	if err := b.UpdateSharedKeyset("orders", newer); err != nil {
		t.Fatal(err)
	}
	foreign, _ := keys.GenerateSharedKeyset()
	forked := handOver(t, b)
	if err := takeStep(b, "shared add"); err != nil {
		t.Fatal(err)
	}
	for name, set := range map[string]*keys.SharedKeyset{"older": first, "without what was made here": forked, "foreign": foreign} {
		before := held(b)
		if err := b.UpdateSharedKeyset("orders", set); !errors.Is(err, ErrSharedHistory) || held(b) != before {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := b.UpdateSharedKeyset("invoices", newer); err == nil {
		t.Error("a keyset that is not there was updated")
	}
}

func TestFollowedKeysetsAreLeftAlone(t *testing.T) {
	a, _ := holders(t)
	at := time.Now().Add(24 * time.Hour)
	a.clock = func() time.Time { return at }
	policy := RotationPolicy{Age: time.Hour, Follow: []string{"orders"}}
	if _, err := a.Rotate(policy); err != nil {
		t.Fatal(err)
	}
	ref := KeyRef{Use: keys.UseShared, Keyset: "orders"}
	if got := stages(a.keys(ref), keys.UseShared); got != "primary" {
		t.Errorf("followed: %s", got)
	}
	if got := stages(a.keys(KeyRef{Use: keys.UseSigning}), keys.UseSigning); got == "primary" {
		t.Errorf("the identity's own: %s", got)
	}
}

// A revocation made in advance withdraws the identity, when it is handed out and
// not before.
func TestPreparedRevocation(t *testing.T) {
	alice := testIdentity(t, "alice")
	known := new(trust.KnownPeers)
	at := trust.Expected{Room: "blue"}
	if err := known.Admit(at, alice.Public()); err != nil {
		t.Fatal(err)
	}
	r, err := alice.Revocation()
	if err != nil || !r.Revoked() || r.Fingerprint() != alice.Fingerprint() || alice.Public().Revoked() {
		t.Fatal("not a revocation", err)
	}
	if err := known.Verify(t.Context(), at, alice.Public()); err != nil {
		t.Fatal(err)
	}
	e, ok := errors.AsType[*trust.Error](known.Verify(t.Context(), at, r))
	if !ok || e.Reason != trust.Revoked {
		t.Error(e)
	}
	e, ok = errors.AsType[*trust.Error](known.Verify(t.Context(), at, alice.Public()))
	if !ok || e.Reason != trust.Revoked {
		t.Error(e)
	}
}

func TestKnownPeersAreListed(t *testing.T) {
	alice, bob := testIdentity(t, "alice"), testIdentity(t, "bob")
	known := new(trust.KnownPeers)
	places := []trust.Expected{
		{Address: "a:443", Role: trust.RoleServer, Fingerprint: alice.Fingerprint()},
		{Room: "blue", Role: trust.RoleMember, Fingerprint: bob.Fingerprint()},
		{Role: trust.RoleClient, Fingerprint: bob.Fingerprint()},
	}
	for i, id := range []*keys.Identity{alice, bob, bob} {
		if err := known.Admit(places[i], id.Public()); err != nil {
			t.Fatal(err)
		}
	}
	r, _ := bob.Revocation()
	_ = known.Verify(t.Context(), places[1], r)
	all := known.All()
	if len(all) != len(places) {
		t.Fatal(all)
	}
	for i, p := range all {
		if p.At != places[i] || p.Level != trust.Verified || p.Revoked != (i > 0) {
			t.Errorf("%+v, want %+v", p, places[i])
		}
	}
	if !known.Knows(alice.Fingerprint()) || known.Knows(testIdentity(t, "eve").Fingerprint()) {
		t.Error("knows somebody else")
	}
}
