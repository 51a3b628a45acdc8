package trust

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hopseal/hopseal/keys"
)

// The error tells what is wrong with a peer's statement, with the times. It does not blame the peer
// for a voucher that has expired.
func TestLapsedStatementsAreToldApart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer, org := testIdentity(t, "peer"), testIdentity(t, "org")
		at := Expected{Room: "r", Role: RoleMember}
		authority := NewAuthority(org.Public())
		if err := authority.Add(must(Vouch(org, at, peer.Fingerprint(), time.Now().Add(time.Hour)))); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Hour)
		err := authority.Verify(t.Context(), at, peer.Public())
		if reason(err) != Expired || !strings.Contains(err.Error(), "the voucher for peer "+peer.Fingerprint().String()+" expired at 2000-01-01T01:00:00Z: its authority") {
			t.Error(err)
		}
		retired := signed(t, peer, func(s *statement) {
			s.serial = 2
			s.keys[0].to = s.issued + 60 // the signing key
		})
		for _, c := range []struct {
			wait time.Duration
			got  *keys.PublicIdentity
			want Reason
			says string
		}{
			{0, retired, Expired, " lists a signing key that is not in use at this time"},
			{keys.MaxLifetime, peer.Public(), Expired, " expired at 2000-01-31T00:00:00Z, 2 hours ago by this clock"},
		} {
			time.Sleep(c.wait)
			err := Pinned(peer.Fingerprint()).Verify(t.Context(), at, c.got)
			if reason(err) != c.want || !strings.Contains(err.Error(), c.says) || errors.Is(err, keys.ErrExpired) {
				t.Errorf("%v, want %v with %q", err, c.want, c.says)
			}
		}
	})
}

// A Verifier says that a statement does not count now only if it trusts the peer otherwise. Package
// e2e ends no session for that, but ends it for anything else.
func TestA59VerifiersSpeakOfTimeLast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		boss, friend, stranger, other := testIdentity(t, "boss"), testIdentity(t, "friend"), testIdentity(t, "stranger"), testIdentity(t, "other")
		shop := Expected{Address: "shop", Role: RoleServer}
		known, authority := new(KnownPeers), NewAuthority(boss.Public())
		if err := known.Admit(shop, friend.Public()); err != nil {
			t.Fatal(err)
		}
		vouch := func(id *keys.Identity, until time.Duration) {
			v, err := Vouch(boss, shop, id.Fingerprint(), time.Now().Add(until))
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
		check := func(name string, v Verifier, id *keys.Identity, want bool) {
			t.Helper()
			if r := reason(v.Verify(t.Context(), shop, id.Public())); (r == Expired) != want || r == 0 {
				t.Errorf("%s, %s: %v", name, id.Name(), r)
			}
		}
		time.Sleep(31 * 24 * time.Hour)
		for name, v := range verifiers {
			check(name, v, friend, true)
			check(name, v, stranger, false)
		}
		time.Sleep(30 * 24 * time.Hour) // the voucher has expired, and the address is somebody else's
		vouch(other, time.Hour)
		check("another at the place", authority, friend, false)
	})
}

// Verifiers refuse a statement whose primary signing key is not in use.
func TestRetiredPrimaryIsNotTrusted(t *testing.T) {
	id := testIdentity(t, "alice")
	ended := signed(t, id, func(s *statement) {
		s.keys[0].to = uint64(time.Now().Add(-time.Hour).Unix())
		s.keys[0].from = s.keys[0].to - 3600
	})
	if err := InsecureAnyone().Verify(t.Context(), Expected{}, ended); reason(err) != Expired {
		t.Error(err)
	}
}
