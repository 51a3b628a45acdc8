package trust

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hopseal/hopseal/keys"
)

// A06: a pinned peer is that peer only, and cannot answer for another.
func TestA06Pinned(t *testing.T) {
	alice, bob, eve := testIdentity(t, "alice"), testIdentity(t, "bob"), testIdentity(t, "alice")
	v := Pinned(alice.Fingerprint(), bob.Fingerprint())
	ctx := context.Background()
	if err := v.Verify(ctx, Expected{}, alice.Public()); err != nil {
		t.Error(err)
	}
	if err := v.Verify(ctx, Expected{Address: "x"}, eve.Public()); reason(err) != Unknown {
		t.Errorf("a namesake: %v", err)
	}
	if err := v.Verify(ctx, Expected{Fingerprint: alice.Fingerprint()}, bob.Public()); reason(err) != Changed {
		t.Errorf("one pinned peer for another: %v", err)
	}
	if err := Pinned().Verify(ctx, Expected{}, alice.Public()); reason(err) != Unknown {
		t.Errorf("nobody is pinned: %v", err)
	}
}

func TestEveryVerifierRefusesExpiredAndRevoked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		id := testIdentity(t, "alice")
		revoked := revocationOf(t, id)
		known := new(KnownPeers)
		if err := known.Admit(Expected{Room: "r"}, id.Public()); err != nil {
			t.Fatal(err)
		}
		future := signed(t, id, func(s *statement) {
			s.serial, s.issued = 2, s.issued+uint64((keys.ClockSkew+time.Minute).Seconds())
			s.expires = s.issued + 3600
		})
		verifiers := map[string]Verifier{"pinned": Pinned(id.Fingerprint()), "insecure": InsecureAnyone(), "known": known}
		for name, v := range verifiers {
			if err := v.Verify(t.Context(), Expected{Room: "r"}, id.Public()); err != nil {
				t.Errorf("%s: %v", name, err)
			}
			if err := v.Verify(t.Context(), Expected{Room: "r"}, future); reason(err) != NotYetValid {
				t.Errorf("%s, from the future: %v", name, err)
			}
		}
		time.Sleep(keys.MaxLifetime)
		for name, v := range verifiers {
			if err := v.Verify(t.Context(), Expected{Room: "r"}, id.Public()); reason(err) != Expired {
				t.Errorf("%s, expired: %v", name, err)
			}
			if err := v.Verify(t.Context(), Expected{Room: "r"}, revoked); reason(err) != Revoked {
				t.Errorf("%s, revoked: %v", name, err)
			}
		}
		// The revocation holds against statements that come back later.
		if err := id.Renew(); err != nil {
			t.Fatal(err)
		}
		if err := known.Verify(t.Context(), Expected{Room: "r"}, id.Public()); reason(err) != Revoked {
			t.Errorf("renewed after the revocation: %v", err)
		}
		if err := known.Admit(Expected{Room: "r"}, id.Public()); reason(err) != Revoked {
			t.Errorf("admitted after the revocation: %v", err)
		}
	})
}

// Several pins do not say which of them has which name, so each could answer for all others.
func TestA06SeveralPinsAndNames(t *testing.T) {
	bob, mallory := testIdentity(t, "bob"), testIdentity(t, "mallory")
	pins := Pinned(bob.Fingerprint(), mallory.Fingerprint())
	for name, c := range map[string]struct {
		pins Verifier
		want Expected
		ok   bool
	}{
		"a name":                  {pins, Expected{Role: RoleMember, Address: "room/bob"}, false},
		"a name, one pin":         {Pinned(mallory.Fingerprint(), mallory.Fingerprint()), Expected{Role: RoleMember, Address: "room/bob"}, true},
		"a name and whose it is":  {pins, Expected{Role: RoleMember, Address: "room/mallory", Fingerprint: mallory.Fingerprint()}, true},
		"a name, and another's":   {pins, Expected{Role: RoleMember, Address: "room/bob", Fingerprint: bob.Fingerprint()}, false},
		"a server, any of these":  {pins, Expected{Role: RoleServer, Address: "example.com/socket"}, true},
		"a client":                {pins, Expected{Role: RoleClient}, true},
		"a member without a name": {pins, Expected{Role: RoleMember, Room: "room"}, true},
	} {
		err := c.pins.Verify(t.Context(), c.want, mallory.Public())
		if _, refused := errors.AsType[*Error](err); (err == nil) != c.ok || refused == c.ok {
			t.Errorf("%s: %v", name, err)
		}
	}
}
