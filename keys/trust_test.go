package keys

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hopseal/hopseal/internal/label"
	"github.com/hopseal/hopseal/internal/strict"
	"github.com/hopseal/hopseal/keys/insecurecleartext"
	"github.com/hopseal/hopseal/keys/internal/ring"
	"github.com/hopseal/hopseal/keys/internal/unixtime"
)

func mustParse(t *testing.T, b []byte) *PublicIdentity {
	t.Helper()
	p, err := ParsePublic(b)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func revocationOf(t *testing.T, id *Identity) *PublicIdentity {
	t.Helper()
	return mustParse(t, signed(t, id, func(p *PublicIdentity) { p.serial, p.signing, p.sealing = math.MaxUint64, nil, nil }))
}

// A server has many clients, and none of them is a member or a server by that.
func TestKnownPeersByRole(t *testing.T) {
	alice, bob := testIdentity(t, "alice"), testIdentity(t, "bob")
	known := new(KnownPeers)
	clients := Expected{Role: RoleClient}
	for _, id := range []*Identity{alice, bob} {
		if err := known.Admit(clients, id.Public()); err != nil {
			t.Fatal(err)
		}
	}
	for _, id := range []*Identity{alice, bob} {
		if err := known.Verify(t.Context(), clients, id.Public()); err != nil {
			t.Errorf("a client: %v", err)
		}
	}
	for _, other := range []Expected{{Role: RoleServer}, {Address: "x", Role: RoleClient}, {Room: "x", Role: RoleClient}} {
		if err := known.Verify(t.Context(), other, alice.Public()); reason(err) != TrustUnknown {
			t.Errorf("%+v: %v", other, err)
		}
	}
	if err := known.Admit(Expected{Address: "hub", Role: RoleMember}, alice.Public()); err != nil {
		t.Fatal(err)
	}
	if err := known.Verify(t.Context(), Expected{Address: "hub", Role: RoleServer}, alice.Public()); reason(err) != TrustUnknown {
		t.Errorf("a member as a server: %v", err)
	}
}

func TestAdmitReplacesAtAnAddress(t *testing.T) {
	alice, eve := testIdentity(t, "alice"), testIdentity(t, "eve")
	known := new(KnownPeers)
	at := Expected{Address: "x", Role: RoleServer}
	for _, id := range []*Identity{alice, eve} {
		if err := known.Admit(at, id.Public()); err != nil {
			t.Fatal(err)
		}
	}
	if got := known.Admitted(at); !slices.Equal(got, []Fingerprint{eve.Fingerprint()}) {
		t.Errorf("admitted: %v", got)
	}
	if err := known.Verify(t.Context(), at, alice.Public()); reason(err) != TrustChanged {
		t.Errorf("the one before: %v", err)
	}
}

// A revocation, and the highest serial, outlive the admission.
func TestRootsAreRememberedForGood(t *testing.T) {
	at := Expected{Address: "x", Role: RoleServer}
	for name, drop := range map[string]func(*KnownPeers, *Identity){
		"replaced":  func(k *KnownPeers, _ *Identity) { _ = k.Admit(at, testIdentity(t, "next").Public()) },
		"forgotten": func(k *KnownPeers, id *Identity) { _ = k.Forget(at, id.Fingerprint()) },
		"stored": func(k *KnownPeers, _ *Identity) {
			again, _ := ParseKnownPeers(k.Bytes())
			k.known.Store(again.known.Load())
		},
	} {
		id := testIdentity(t, "alice")
		stolen := id.Public()
		known := new(KnownPeers)
		if err := known.Admit(at, stolen); err != nil {
			t.Fatal(err)
		}
		if err := id.Renew(); err != nil {
			t.Fatal(err)
		}
		if err := known.Verify(t.Context(), at, id.Public()); err != nil {
			t.Fatal(err)
		}
		drop(known, id)
		if err := known.Admit(at, stolen); reason(err) != TrustRolledBack {
			t.Errorf("%s, an older statement: %v", name, err)
		}
		if err := known.Verify(t.Context(), at, revocationOf(t, id)); reason(err) != TrustRevoked {
			t.Errorf("%s, revocation: %v", name, err)
		}
		drop(known, id)
		for _, p := range []*PublicIdentity{stolen, id.Public()} {
			if err := known.Admit(at, p); reason(err) != TrustRevoked {
				t.Errorf("%s, after the revocation: %v", name, err)
			}
		}
	}
}

func TestKnownPeersRefuseUnwritablePlaces(t *testing.T) {
	known := new(KnownPeers)
	for _, at := range []Expected{{Room: "\xff"}, {Room: strings.Repeat("x", maxPlaceSize+1)}, {Address: "x", Role: RoleMember + 1}} {
		if err := known.Admit(at, testIdentity(t, "x").Public()); err == nil {
			t.Errorf("%.10q is admitted", at)
		}
	}
	if _, err := ParseKnownPeers(known.Bytes()); err != nil {
		t.Error(err)
	}
	if err := known.Verify(t.Context(), Expected{}, nil); err == nil {
		t.Error("nobody is trusted")
	}
}

func TestKnownPeersEncodingIsStrict(t *testing.T) {
	a, b := bytes.Repeat([]byte{1}, 32), bytes.Repeat([]byte{2}, 32)
	root := func(r []byte) []byte {
		x := strict.AppendBin(strict.AppendArray(nil, 4), r)
		return strict.AppendNil(strict.AppendBin(strict.AppendUint(x, 1), make([]byte, 32)))
	}
	admitted := func(kind uint64, name string, role uint64, r []byte, level uint64) []byte {
		x := strict.AppendStr(strict.AppendUint(strict.AppendArray(nil, 5), kind), name)
		return strict.AppendUint(strict.AppendBin(strict.AppendUint(x, role), r), level)
	}
	list := func(version uint64, roots, admissions [][]byte) []byte {
		x := strict.AppendUint(strict.AppendArray(nil, 3), version)
		for _, l := range [][][]byte{roots, admissions} {
			x = append(strict.AppendArray(x, len(l)), bytes.Join(l, nil)...)
		}
		return x
	}
	good := list(1, [][]byte{root(a), root(b)}, [][]byte{admitted(1, "x", 1, a, 3), admitted(2, "x", 1, b, 1)})
	if _, err := ParseKnownPeers(good); err != nil {
		t.Fatal(err)
	}
	for name, bad := range map[string][]byte{
		"version":               list(2, nil, nil),
		"roots out of order":    list(1, [][]byte{root(b), root(a)}, nil),
		"a root twice":          list(1, [][]byte{root(a), root(a)}, nil),
		"admissions reversed":   list(1, [][]byte{root(a)}, [][]byte{admitted(2, "x", 1, a, 3), admitted(1, "x", 1, a, 3)}),
		"an admission twice":    list(1, [][]byte{root(a)}, [][]byte{admitted(1, "x", 1, a, 3), admitted(1, "x", 1, a, 3)}),
		"an unknown root":       list(1, [][]byte{root(a)}, [][]byte{admitted(1, "x", 1, b, 3)}),
		"no such kind":          list(1, [][]byte{root(a)}, [][]byte{admitted(4, "x", 1, a, 3)}),
		"kind 257":              list(1, [][]byte{root(a)}, [][]byte{admitted(257, "x", 1, a, 3)}),
		"no such role":          list(1, [][]byte{root(a)}, [][]byte{admitted(1, "x", 4, a, 3)}),
		"no such level":         list(1, [][]byte{root(a)}, [][]byte{admitted(1, "x", 1, a, 4)}),
		"level 0":               list(1, [][]byte{root(a)}, [][]byte{admitted(1, "x", 1, a, 0)}),
		"zero as the successor": list(1, [][]byte{append(root(a)[:len(root(a))-1], strict.AppendBin(nil, make([]byte, 32))...)}, nil),
	} {
		if _, err := ParseKnownPeers(bad); !errors.Is(err, ErrKnownPeers) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestTrustOnFirstUse(t *testing.T) {
	alice, eve := testIdentity(t, "alice"), testIdentity(t, "eve")
	known := new(KnownPeers)
	v := known.TrustOnFirstUse()
	at := Expected{Address: "wss://x", Role: RoleServer}
	if err := v.Verify(t.Context(), at, alice.Public()); err != nil {
		t.Fatal(err)
	}
	if level, _ := known.Level(at, alice.Fingerprint()); level != TrustFirstUse {
		t.Errorf("known by %v", level)
	}
	if err := v.Verify(t.Context(), at, eve.Public()); reason(err) != TrustChanged {
		t.Errorf("another one: %v", err)
	}
	for _, at := range []Expected{{Room: "blue"}, {Role: RoleClient}} {
		if err := v.Verify(t.Context(), at, eve.Public()); reason(err) != TrustUnknown {
			t.Errorf("%+v: %v", at, err)
		}
	}
	if err := known.Admit(at, alice.Public()); err != nil {
		t.Fatal(err)
	}
	if level, _ := known.Level(at, alice.Fingerprint()); level != TrustVerified {
		t.Errorf("once compared, known by %v", level)
	}
}

// Root retirement: peers follow a successor that both roots signed, the first one,
// and no longer call it verified.
func TestSuccession(t *testing.T) {
	old, next, eve := testIdentity(t, "old"), testIdentity(t, "new"), testIdentity(t, "eve")
	known := new(KnownPeers)
	at, room := Expected{Address: "x", Role: RoleServer}, Expected{Room: "blue"}
	for _, e := range []Expected{at, room} {
		if err := known.Admit(e, old.Public()); err != nil {
			t.Fatal(err)
		}
	}
	s, err := old.Succeed(next)
	if err != nil {
		t.Fatal(err)
	}
	if len(s.Bytes()) != 210 || s.Old() != old.Fingerprint() || s.Next() != next.Fingerprint() {
		t.Errorf("%d bytes", len(s.Bytes()))
	}
	again, err := ParseSuccession(s.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	for range 2 { // it may come twice
		if err := known.Succeed(again); err != nil {
			t.Fatal(err)
		}
	}
	for _, e := range []Expected{at, room} {
		if err := known.Verify(t.Context(), e, next.Public()); err != nil {
			t.Errorf("the successor: %v", err)
		}
		if level, _ := known.Level(e, next.Fingerprint()); level != TrustSucceeded {
			t.Errorf("known by %v", level)
		}
		if err := known.Verify(t.Context(), e, old.Public()); reason(err) != TrustRevoked {
			t.Errorf("the retired root: %v", err)
		}
	}
	// Whoever stole the old root comes too late.
	second, err := old.Succeed(eve)
	if err != nil {
		t.Fatal(err)
	}
	if err := known.Succeed(second); reason(err) != TrustChanged {
		t.Errorf("a second successor: %v", err)
	}
	stranger, _ := eve.Succeed(next)
	if err := known.Succeed(stranger); reason(err) != TrustUnknown {
		t.Errorf("a stranger's: %v", err)
	}
	other := new(KnownPeers)
	if err := other.Admit(at, eve.Public()); err != nil {
		t.Fatal(err)
	}
	_ = other.Verify(t.Context(), at, revocationOf(t, eve))
	if err := other.Succeed(stranger); reason(err) != TrustRevoked {
		t.Errorf("a revoked root's: %v", err)
	}
	stored, err := ParseKnownPeers(known.Bytes())
	if err != nil || stored.Verify(t.Context(), at, next.Public()) != nil || stored.Verify(t.Context(), at, old.Public()) == nil {
		t.Errorf("came back otherwise: %v", err)
	}
}

func TestSuccessionTampering(t *testing.T) {
	old, next := testIdentity(t, "old"), testIdentity(t, "new")
	s, _ := old.Succeed(next)
	for bit := range 8 * len(s.Bytes()) {
		b := bytes.Clone(s.Bytes())
		b[bit/8] ^= 1 << (bit % 8)
		if _, err := ParseSuccession(b); !errors.Is(err, ErrSuccession) {
			t.Fatalf("bit %d: %v", bit, err)
		}
	}
	for n := range s.Bytes() {
		if _, err := ParseSuccession(s.Bytes()[:n]); !errors.Is(err, ErrSuccession) {
			t.Fatalf("%d bytes: %v", n, err)
		}
	}
	if _, err := old.Succeed(old); err == nil {
		t.Error("its own successor")
	}
}

func TestAuthority(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		boss, shop, eve := testIdentity(t, "boss"), testIdentity(t, "shop"), testIdentity(t, "eve")
		at := Expected{Address: "wss://shop", Role: RoleServer}
		authority := NewAuthority(boss.Public())
		check := func(what string, want Expected, got *Identity, expect TrustReason) {
			t.Helper()
			if err := authority.Verify(t.Context(), want, got.Public()); reason(err) != expect || (err == nil) != (expect == 0) {
				t.Errorf("%s: %v", what, err)
			}
		}
		check("before any voucher", at, shop, TrustUnknown)
		voucher, err := boss.Vouch(at, shop.Fingerprint(), time.Now().Add(time.Hour))
		if err != nil {
			t.Fatal(err)
		}
		if err := authority.Add(voucher); err != nil {
			t.Fatal(err)
		}
		check("vouched for", at, shop, 0)
		check("another one there", at, eve, TrustChanged)
		check("elsewhere", Expected{Address: "wss://other", Role: RoleServer}, shop, TrustUnknown)
		check("in another role", Expected{Address: "wss://shop", Role: RoleMember}, shop, TrustUnknown)
		check("in a room of that name", Expected{Room: "wss://shop", Role: RoleServer}, shop, TrustUnknown)
		clients, err := boss.Vouch(Expected{Role: RoleClient}, eve.Fingerprint(), time.Now().Add(time.Hour))
		if err != nil || authority.Add(clients) != nil {
			t.Fatal(err)
		}
		check("a client", Expected{Role: RoleClient}, eve, 0)
		check("another client", Expected{Role: RoleClient}, shop, TrustUnknown)

		forged, _ := eve.Vouch(at, eve.Fingerprint(), time.Now().Add(time.Hour))
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
		check("expired", at, shop, TrustExpired)
		if err := authority.Update(revocationOf(t, boss)); err != nil {
			t.Fatal(err)
		}
		check("the authority is revoked", Expected{Role: RoleClient}, eve, TrustRevoked)
		if err := authority.Update(boss.Public()); reason(err) != TrustRolledBack {
			t.Errorf("back before the revocation: %v", err)
		}
		if err := authority.Update(eve.Public()); reason(err) != TrustChanged {
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
		if _, err := boss.Vouch(c.at, boss.Fingerprint(), c.expires); err == nil {
			t.Errorf("%+v", c)
		}
	}
}

func TestSafetyNumber(t *testing.T) {
	a, b := testIdentity(t, "a").Fingerprint(), testIdentity(t, "b").Fingerprint()
	number := SafetyNumber(a, b)
	if number != SafetyNumber(b, a) {
		t.Error("the two sides see different numbers")
	}
	if groups := strings.Fields(number); len(groups) != 12 || len(number) != 71 || strings.Trim(number, "0123456789 ") != "" {
		t.Errorf("%q", number)
	}
	for bit := range 256 {
		for _, f := range []*Fingerprint{&a, &b} {
			f[bit/8] ^= 1 << (bit % 8)
			if SafetyNumber(a, b) == number {
				t.Errorf("bit %d does not count", bit)
			}
			f[bit/8] ^= 1 << (bit % 8)
		}
	}
	// Known answer, from the definition: SHA-512 of the label and 64 zero bytes.
	if got, want := SafetyNumber(Fingerprint{}, Fingerprint{}), "28296 90014 69215 92722 87194 66367 60914 15190 31379 97978 99311 77321"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestSafetyCode(t *testing.T) {
	a, b, eve := testIdentity(t, "a").Fingerprint(), testIdentity(t, "b").Fingerprint(), testIdentity(t, "eve").Fingerprint()
	shown := SafetyCode(a, b)
	if err := ScanSafetyCode(shown, b, a); err != nil {
		t.Error(err)
	}
	for name, code := range map[string]string{
		"the other sees somebody else": SafetyCode(a, eve), "somebody else shows it": SafetyCode(eve, b), "one's own code": SafetyCode(b, a),
	} {
		if err := ScanSafetyCode(code, b, a); !errors.Is(err, ErrSafetyMismatch) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, code := range []string{"", "https://example.com", shown[:len(shown)-1], shown + "x", strings.Replace(shown, "/1/", "/2/", 1), shown + " "} {
		if err := ScanSafetyCode(code, b, a); !errors.Is(err, ErrSafetyCode) {
			t.Errorf("%q: %v", code, err)
		}
	}
}

// Under the zero key, a point of small order, many signatures verify.
func TestZeroKeyVerifiesNothing(t *testing.T) {
	var k VerifyingKey
	revoked := revocationOf(t, testIdentity(t, "x")).VerifyingKey()
	zero := make([]byte, 32)
	for s := range 256 { // R of small order, S = 0
		for _, r := range smallOrderY {
			sig := append(bytes.Clone(r), zero...)
			message := []byte(fmt.Sprint(s))
			if k.Verify(message, sig) || revoked.Verify(message, sig) || new(PublicIdentity).VerifyingKey().Verify(message, sig) {
				t.Fatal("a signature under no key verifies")
			}
		}
	}
	if k.ValidAt(time.Now()) || revoked.ValidAt(time.Now()) || new(PublicIdentity).RecipientKey() != nil {
		t.Error("no key is valid")
	}
}

// A08, from outside: the eight points of small order and their other encodings, as
// published by C. Cremers and D. Jackson (Prime, Order Please!, 2019).
func TestA08PublishedPoints(t *testing.T) {
	for _, text := range []string{
		"0100000000000000000000000000000000000000000000000000000000000000",
		"ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		"0000000000000000000000000000000000000000000000000000000000000080",
		"0000000000000000000000000000000000000000000000000000000000000000",
		"c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
		"c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
		"26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
		"26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
		"0100000000000000000000000000000000000000000000000000000000000080",
		"ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
		"eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		"eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
		"edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
		"edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
	} {
		b, err := hex.DecodeString(text)
		if err != nil || len(b) != 32 {
			t.Fatal(text)
		}
		if checkEd25519(b) == nil {
			t.Errorf("%s is accepted", text)
		}
	}
	for _, text := range []string{ // X25519, RFC 7748 section 7 and its references
		"0000000000000000000000000000000000000000000000000000000000000000",
		"0100000000000000000000000000000000000000000000000000000000000000",
		"e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
		"5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
		"ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		"edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		"eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
	} {
		b, _ := hex.DecodeString(text)
		if checkCoordinate(b, smallOrderU) == nil {
			t.Errorf("%s is accepted", text)
		}
	}
}

// A08: also the root, under which its own signature would verify everything.
func TestA08WeakRootIsRefused(t *testing.T) {
	id := testIdentity(t, "alice")
	p := *id.Public()
	p.root = [32]byte{1} // the identity point
	statement := p.appendStatement(nil)
	sig := append(append([]byte{1}, make([]byte, 31)...), make([]byte, 32)...)
	if !ed25519.Verify(p.root[:], label.Identity.With(statement), sig) {
		t.Fatal("the forgery is not one: the test proves nothing")
	}
	b := strict.AppendBin(strict.AppendBin(strict.AppendArray(nil, 2), statement), sig)
	if _, err := ParsePublic(b); !errors.Is(err, ErrPublicIdentity) {
		t.Error("an identity that nobody signed is accepted")
	}
}

func TestStatementFieldsAreChecked(t *testing.T) {
	id := testIdentity(t, "alice")
	good := id.Public().appendStatement(nil)
	if _, err := parseStatement(good); err != nil {
		t.Fatal(err)
	}
	keyAt := bytes.Index(good, id.Public().signing[0].public[:]) - 2 // before it: array, use, type, bin head
	for name, change := range map[string]func(b []byte){
		"version": func(b []byte) { b[1] = 2 },
		"use":     func(b []byte) { b[keyAt-2] = 3 },
		"type":    func(b []byte) { b[keyAt-1] = 2 },
	} {
		b := bytes.Clone(good)
		change(b)
		if _, err := parseStatement(b); err == nil {
			t.Errorf("another %s is accepted", name)
		}
	}
	for name, change := range map[string]func(p *PublicIdentity){
		"times too late": func(p *PublicIdentity) {
			p.issued = time.Unix(unixtime.Limit, 0)
			p.expires = p.issued.Add(time.Hour)
		},
		"window too late": func(p *PublicIdentity) {
			p.signing = slices.Clone(p.signing)
			p.signing[0].window.from = unixtime.Limit
		},
	} {
		if _, err := ParsePublic(signed(t, id, change)); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	sealingFirst := func(p *PublicIdentity) []byte {
		b := strict.AppendUint(strict.AppendArray(nil, 7), publicVersion)
		b = strict.AppendBin(strict.AppendStr(b, p.name), p.root[:])
		for _, v := range []uint64{1, uint64(p.issued.Unix()), uint64(p.expires.Unix())} {
			b = strict.AppendUint(b, v)
		}
		b = appendListedKey(strict.AppendArray(b, 2), useSeal, typeXWing, p.sealing[0].public, window{})
		return appendListedKey(b, useSign, typeEd25519, p.signing[0].public[:], window{})
	}
	if _, err := ParsePublic(signStatement(id, sealingFirst(id.Public()))); err == nil {
		t.Error("keys out of order are accepted")
	}
	if _, err := ParsePublic(make([]byte, MaxPublicSize+1)); err == nil {
		t.Error("an oversize identity is accepted")
	}
}

// Verifiers refuse a statement whose primary signing key is not in use.
func TestRetiredPrimaryIsNotTrusted(t *testing.T) {
	id := testIdentity(t, "alice")
	ended := mustParse(t, signed(t, id, func(p *PublicIdentity) {
		p.signing = slices.Clone(p.signing)
		p.signing[0].window.to = uint64(time.Now().Add(-time.Hour).Unix())
		p.signing[0].window.from = p.signing[0].window.to - 3600
	}))
	if err := InsecureTrustAnyone().Verify(context.Background(), Expected{}, ended); reason(err) != TrustExpired {
		t.Error(err)
	}
}

// What was parsed shares no memory with its input, which a caller may use again.
func TestParsedSecretsAreCopies(t *testing.T) {
	id := testIdentity(t, "alice")
	shared, _ := GenerateSharedKeyset()
	b, _ := id.MarshalCleartext(insecurecleartext.Token{})
	s, _ := shared.MarshalCleartext(insecurecleartext.Token{})
	inputID, inputShared, inputPublic := bytes.Clone(b), bytes.Clone(s), bytes.Clone(id.Public().Bytes())
	gotID, err := ParseCleartextIdentity(inputID, insecurecleartext.Token{})
	if err != nil {
		t.Fatal(err)
	}
	gotShared, err := ParseCleartextSharedKeyset(inputShared, insecurecleartext.Token{})
	if err != nil {
		t.Fatal(err)
	}
	public := mustParse(t, inputPublic)
	for _, in := range [][]byte{inputID, inputShared, inputPublic} {
		for i := range in {
			in[i] = 'A'
		}
	}
	if again, err := gotID.MarshalCleartext(insecurecleartext.Token{}); err != nil || !bytes.Equal(again, b) {
		t.Errorf("the identity changed with its input: %v", err)
	}
	if again, err := gotShared.MarshalCleartext(insecurecleartext.Token{}); err != nil || !bytes.Equal(again, s) {
		t.Errorf("the keyset changed with its input: %v", err)
	}
	if !bytes.Equal(gotShared.Primary().MAC(nil, []byte("m")), shared.Primary().MAC(nil, []byte("m"))) {
		t.Error("the MAC key changed with its input")
	}
	if !public.Equal(id.Public()) || public.RecipientKey().ID() != sealingKeyID(public.sealing[0].public) {
		t.Error("the public identity changed with its input")
	}
}

// A42, where fmt cannot call a method: in unexported fields.
func TestA42UnexportedFieldsPrintNoSecret(t *testing.T) {
	id := testIdentity(t, "alice")
	_, external := id.Signing()
	seed := rootKey(id).Seed()
	k, _ := id.state.Load().signing.Set.Keyset()
	holder := struct {
		id     *Identity
		signer Signer
		ring   ring.Ring
	}{id, external, id.state.Load().signing}
	for _, verb := range []string{"%v", "%+v", "%#v", "%x", "%s", "%d"} {
		text := fmt.Sprintf(verb, holder)
		for _, secret := range [][]byte{seed, k.Keys[0].Secret} {
			for _, form := range []string{string(secret[:8]), fmt.Sprintf("%x", secret[:8]), strings.Trim(fmt.Sprint(secret[:6]), "[]")} {
				if strings.Contains(text, form) {
					t.Errorf("%s prints %q", verb, form)
				}
			}
		}
	}
}

// Attached keys: the private half stays where it is.
func TestExternalRootAndSigner(t *testing.T) {
	_, rootPrivate, _ := ed25519.GenerateKey(nil)
	_, signPrivate, _ := ed25519.GenerateKey(nil)
	root, signer := &localSignerOutside{rootPrivate}, &localSignerOutside{signPrivate}
	id, err := GenerateIdentityWith("alice", root, signer)
	if err != nil {
		t.Fatal(err)
	}
	b, err := id.MarshalCleartext(insecurecleartext.Token{})
	if err != nil {
		t.Fatal(err)
	}
	for _, secret := range [][]byte{rootPrivate.Seed(), signPrivate.Seed()} {
		if bytes.Contains(b, secret) {
			t.Error("a key that is kept outside is in the export")
		}
	}
	again, err := ParseCleartextIdentity(b, insecurecleartext.Token{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := again.Signer().Sign([]byte("m")); !errors.Is(err, ErrDetached) {
		t.Errorf("detached: %v", err)
	}
	if err := again.Renew(); !errors.Is(err, ErrDetached) {
		t.Errorf("detached root: %v", err)
	}
	stranger := &localSignerOutside{ed25519.NewKeyFromSeed(make([]byte, 32))}
	if err := again.Attach(stranger); err == nil {
		t.Error("a stranger's key is attached")
	}
	if err := errors.Join(again.Attach(root), again.Attach(signer), again.Renew()); err != nil {
		t.Fatal(err)
	}
	sig, err := again.Signer().Sign([]byte("m"))
	if err != nil || !again.Public().VerifyingKey().Verify([]byte("m"), sig) || again.Public().Serial() <= id.Public().Serial() {
		t.Errorf("attached: %v", err)
	}
	if _, err := GenerateIdentityWith("x", nil, nil); err == nil {
		t.Error("no root")
	}
}

type localSignerOutside struct{ key ed25519.PrivateKey }

func (s *localSignerOutside) PublicKey() ed25519.PublicKey {
	return s.key.Public().(ed25519.PublicKey)
}
func (s *localSignerOutside) Sign(m []byte) ([]byte, error) { return ed25519.Sign(s.key, m), nil }

// Lives and keyset must tell of the same states.
func TestRingMustAgreeWithItsKeyset(t *testing.T) {
	id := testIdentity(t, "alice")
	for name, change := range map[string]func(*ring.Life){
		"id": func(l *ring.Life) { l.ID++ }, "not promoted": func(l *ring.Life) { l.Promoted = 0 }, "never made": func(l *ring.Life) { l.Created = 0 },
		"retired": func(l *ring.Life) { l.Retired = l.Promoted }, "archived": func(l *ring.Life) { l.Retired, l.Archived = l.Promoted, l.Promoted },
		"promoted before made": func(l *ring.Life) { l.Promoted = l.Created - 1 },
	} {
		s := *id.state.Load()
		s.signing.Lives = slices.Clone(s.signing.Lives)
		change(&s.signing.Lives[0])
		b, err := s.marshal()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := ParseCleartextIdentity(b, insecurecleartext.Token{}); !errors.Is(err, ErrIdentity) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzParseSuccession(f *testing.F) {
	s, _ := testIdentity(f, "old").Succeed(testIdentity(f, "new"))
	f.Add(s.Bytes())
	f.Fuzz(func(t *testing.T, b []byte) {
		fuzzParse(t, b, func() ([]byte, error) {
			s, err := ParseSuccession(b)
			if err != nil {
				return nil, err
			}
			return s.Bytes(), nil
		})
	})
}

func FuzzParseVoucher(f *testing.F) {
	id := testIdentity(f, "boss")
	b, _ := id.Vouch(Expected{Room: "r"}, id.Fingerprint(), time.Now().Add(time.Hour))
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

func FuzzParseCleartextIdentity(f *testing.F) {
	b, _ := testIdentity(f, "alice").MarshalCleartext(insecurecleartext.Token{})
	f.Add(b)
	f.Fuzz(func(t *testing.T, b []byte) {
		id, err := ParseCleartextIdentity(b, insecurecleartext.Token{})
		if err != nil {
			return
		}
		if again, err := id.MarshalCleartext(insecurecleartext.Token{}); err != nil || !bytes.Equal(again, b) {
			t.Fatalf("%x is read, and written again as %x", b, again)
		}
	})
}

// Several pins do not say which of them goes by a name, so that each could for all others.
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
		if _, refused := errors.AsType[*TrustError](err); (err == nil) != c.ok || refused == c.ok {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A peer whose clock is one and a half minutes ahead takes its key for one that is in use,
// however short that is.
func TestCurrentKeyWithinClockSkew(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	for name, c := range map[string]struct {
		from, to int
		current  bool
	}{
		"in use":               {0, 0, true},
		"in use for a moment":  {0, 1, true},
		"a minute, soon":       {60, 120, true},
		"a minute, before":     {-120, -60, true},
		"from five minutes on": {300, 0, true},
		"a second later":       {301, 0, false},
		"until a moment since": {-600, -299, true},
		"until five minutes":   {-600, -300, false},
	} {
		w := window{from: uint64(int(now.Unix()) + c.from)}
		if c.to != 0 {
			w.to = uint64(int(now.Unix()) + c.to)
		}
		p := &PublicIdentity{signing: []VerifyingKey{{id: SigningKeyID{1}, window: w}}}
		if currentKey(p, now) != c.current || currentKey(p, now.Add(999*time.Millisecond)) != c.current {
			t.Errorf("%s: not %v", name, c.current)
		}
	}
}
