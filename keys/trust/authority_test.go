package trust

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hopseal/hopseal/keys"
)

func TestAuthority(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		boss, shop, eve := testIdentity(t, "boss"), testIdentity(t, "shop"), testIdentity(t, "eve")
		at := Expected{Address: "wss://shop", Role: RoleServer}
		authority := NewAuthority(boss.Public())
		check := func(what string, want Expected, got *keys.Identity, expect Reason) {
			t.Helper()
			if err := authority.Verify(t.Context(), want, got.Public()); reason(err) != expect || (err == nil) != (expect == 0) {
				t.Errorf("%s: %v", what, err)
			}
		}
		check("before any voucher", at, shop, Unknown)
		voucher, err := Vouch(boss, at, shop.Fingerprint(), time.Now().Add(time.Hour))
		if err != nil {
			t.Fatal(err)
		}
		if err := authority.Add(voucher); err != nil {
			t.Fatal(err)
		}
		check("vouched for", at, shop, 0)
		check("another one there", at, eve, Changed)
		check("elsewhere", Expected{Address: "wss://other", Role: RoleServer}, shop, Unknown)
		check("in another role", Expected{Address: "wss://shop", Role: RoleMember}, shop, Unknown)
		check("in a room of that name", Expected{Room: "wss://shop", Role: RoleServer}, shop, Unknown)
		clients, err := Vouch(boss, Expected{Role: RoleClient}, eve.Fingerprint(), time.Now().Add(time.Hour))
		if err != nil || authority.Add(clients) != nil {
			t.Fatal(err)
		}
		check("a client", Expected{Role: RoleClient}, eve, 0)
		check("another client", Expected{Role: RoleClient}, shop, Unknown)

		forged, _ := Vouch(eve, at, eve.Fingerprint(), time.Now().Add(time.Hour))
		if err := authority.Add(forged); !errors.Is(err, ErrVoucher) {
			t.Errorf("somebody else's voucher: %v", err)
		}
		for bit := range 8 * len(voucher) {
			b := bytes.Clone(voucher)
			b[bit/8] ^= 1 << (bit % 8)
			if err := authority.Add(b); !errors.Is(err, ErrVoucher) {
				t.Fatalf("bit %d: %v", bit, err)
			}
		}
		time.Sleep(time.Hour)
		check("expired", at, shop, Expired)
		if err := authority.Update(revocationOf(t, boss)); err != nil {
			t.Fatal(err)
		}
		check("the authority is revoked", Expected{Role: RoleClient}, eve, Revoked)
		if err := authority.Update(boss.Public()); reason(err) != RolledBack {
			t.Errorf("back before the revocation: %v", err)
		}
		if err := authority.Update(eve.Public()); reason(err) != Changed {
			t.Errorf("another authority: %v", err)
		}
	})
}

func TestVouchRefusesNonsense(t *testing.T) {
	boss := testIdentity(t, "boss")
	soon := time.Now().Add(time.Hour)
	for _, c := range []struct {
		at      Expected
		expires time.Time
	}{{Expected{}, soon}, {Expected{Role: RoleServer}, soon}, {Expected{Room: "r"}, time.Now().Add(-time.Hour)},
		{Expected{Room: "\xff"}, soon}, {Expected{Room: strings.Repeat("x", 2000)}, soon}} {
		if _, err := Vouch(boss, c.at, boss.Fingerprint(), c.expires); err == nil {
			t.Errorf("%+v", c)
		}
	}
}

func FuzzParseVoucher(f *testing.F) {
	id := testIdentity(f, "boss")
	b, _ := Vouch(id, Expected{Room: "r"}, id.Fingerprint(), time.Now().Add(time.Hour))
	f.Add(b[4 : len(b)-66])
	f.Fuzz(func(t *testing.T, b []byte) {
		fuzzParse(t, b, func() ([]byte, error) {
			v, ok := parseVoucher(b)
			if !ok {
				return nil, ErrVoucher
			}
			return v.append(nil), nil
		})
	})
}

// An Authority forgets no revocation of a root that has a voucher.
func TestAuthorityRemembersRevocations(t *testing.T) {
	boss, shop, eve := testIdentity(t, "boss"), testIdentity(t, "shop"), testIdentity(t, "eve")
	at := Expected{Address: "x", Role: RoleServer}
	until := time.Now().Add(time.Hour)
	voucher, err := Vouch(boss, at, shop.Fingerprint(), until)
	if err != nil {
		t.Fatal(err)
	}
	for name, revoke := range map[string]func(*Authority) error{
		"shown":    func(a *Authority) error { a.Verify(t.Context(), at, revocationOf(t, shop)); return nil },
		"imported": func(a *Authority) error { return a.Revoke(revocationOf(t, shop)) },
	} {
		a := NewAuthority(boss.Public())
		told := 0
		stop := a.OnChange(func() { told++ })
		if err := errors.Join(a.Add(voucher), a.Verify(t.Context(), at, shop.Public()), revoke(a), a.Add(voucher)); err != nil {
			t.Fatal(err)
		}
		if err := a.Verify(t.Context(), at, shop.Public()); reason(err) != Revoked || told != 1 {
			t.Errorf("%s: %v, told %d times", name, err, told)
		}
		a.Verify(t.Context(), at, revocationOf(t, eve))
		if len(a.revoked) != 1 {
			t.Errorf("%s: a stranger was remembered", name)
		}
		stop()
		if err := a.Revoke(revocationOf(t, boss)); err != nil || told != 1 {
			t.Errorf("%s: %v, told %d times", name, err, told)
		}
		a.revoked = map[keys.Fingerprint]struct{}{boss.Fingerprint(): {}}
		if err := a.Verify(t.Context(), at, shop.Public()); reason(err) != Revoked {
			t.Errorf("%s, the authority itself: %v", name, err)
		}
	}

	// It may be combined with a list that is stored.
	known, a := new(KnownPeers), NewAuthority(boss.Public())
	v := known.RefuseRevoked(a)
	if err := errors.Join(a.Add(voucher), v.Verify(t.Context(), at, shop.Public()), known.Revoke(revocationOf(t, shop))); err != nil {
		t.Fatal(err)
	}
	if err := v.Verify(t.Context(), at, shop.Public()); reason(err) != Revoked {
		t.Errorf("combined: %v", err)
	}
}
