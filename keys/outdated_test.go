package keys

import (
	"testing"
	"testing/synctest"
	"time"
)

// A Verifier says that a statement is out of its time only of whoever is trusted otherwise: package
// e2e ends no session for that, and has to end it for anything else.
func TestA59VerifiersSpeakOfTimeLast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		boss, friend, stranger, other := testIdentity(t, "boss"), testIdentity(t, "friend"), testIdentity(t, "stranger"), testIdentity(t, "other")
		shop := Expected{Address: "shop", Role: RoleServer}
		known, authority := new(KnownPeers), NewAuthority(boss.Public())
		if err := known.Admit(shop, friend.Public()); err != nil {
			t.Fatal(err)
		}
		vouch := func(id *Identity, until time.Duration) {
			v, err := boss.Vouch(shop, id.Fingerprint(), time.Now().Add(until))
			if err == nil {
				err = authority.Add(v)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		vouch(friend, 60*24*time.Hour)
		verifiers := map[string]Verifier{"pinned": Pinned(friend.Fingerprint()), "known": known, "first use": known.TrustOnFirstUse(),
			"authority": authority, "known before pinned": new(KnownPeers).RefuseRevoked(Pinned(friend.Fingerprint()))}
		check := func(name string, v Verifier, id *Identity, want bool) {
			t.Helper()
			if r := reason(v.Verify(t.Context(), shop, id.Public())); (r == TrustExpired) != want || r == 0 {
				t.Errorf("%s, %s: %v", name, id.Name(), r)
			}
		}
		time.Sleep(31 * 24 * time.Hour)
		for name, v := range verifiers {
			check(name, v, friend, true)
			check(name, v, stranger, false)
		}
		time.Sleep(30 * 24 * time.Hour) // the voucher has expired, and the place is somebody else's
		vouch(other, time.Hour)
		check("another at the place", authority, friend, false)
	})
}
