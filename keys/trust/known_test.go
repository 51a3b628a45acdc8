package trust

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/hopseal/hopseal/internal/strict"
	"github.com/hopseal/hopseal/keys"
)

// A06: known peers are keyed by what was dialled, never by the peer's own name.
func TestA06KnownPeers(t *testing.T) {
	alice, eve := testIdentity(t, "alice"), testIdentity(t, "alice")
	known := new(KnownPeers)
	home := Expected{Address: "wss://home.example"}
	ctx := context.Background()
	if err := known.Verify(ctx, home, alice.Public()); reason(err) != Unknown {
		t.Errorf("a stranger: %v", err)
	}
	if err := known.Admit(home, alice.Public()); err != nil {
		t.Fatal(err)
	}
	if err := known.Verify(ctx, home, alice.Public()); err != nil {
		t.Error(err)
	}
	err := known.Verify(ctx, home, eve.Public())
	if e, ok := errors.AsType[*Error](err); !ok || e.Reason != Changed || len(e.Known) != 1 || e.Known[0] != alice.Fingerprint() {
		t.Errorf("another root at a known address: %v", err)
	}
	for _, elsewhere := range []Expected{{Address: "wss://other.example"}, {Room: "wss://home.example"}, {Address: "alice"}} {
		if err := known.Verify(ctx, elsewhere, alice.Public()); reason(err) != Unknown {
			t.Errorf("%v: %v", elsewhere, err)
		}
	}
	// A room has many members; a new one is unknown, not changed.
	room := Expected{Room: "blue"}
	if err := known.Admit(room, alice.Public()); err != nil {
		t.Fatal(err)
	}
	if err := known.Verify(ctx, room, eve.Public()); reason(err) != Unknown {
		t.Errorf("a new member: %v", err)
	}
	known.Forget(room, alice.Fingerprint())
	if err := known.Verify(ctx, room, alice.Public()); reason(err) != Unknown {
		t.Errorf("after Forget: %v", err)
	}
	if err := known.Verify(ctx, home, alice.Public()); err != nil {
		t.Errorf("Forget reached another place: %v", err)
	}
}

func TestKnownPeersRefuseRollback(t *testing.T) {
	id := testIdentity(t, "alice")
	first := id.Public()
	known := new(KnownPeers)
	at := Expected{Room: "blue"}
	ctx := context.Background()
	if err := known.Admit(at, first); err != nil {
		t.Fatal(err)
	}
	if err := id.Renew(); err != nil {
		t.Fatal(err)
	}
	if err := known.Verify(ctx, at, id.Public()); err != nil {
		t.Errorf("a newer statement of a known root: %v", err)
	}
	again, err := ParseKnownPeers(known.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	for name, k := range map[string]*KnownPeers{"at once": known, "after a restart": again} {
		if err := k.Verify(ctx, at, first); reason(err) != RolledBack {
			t.Errorf("%s: %v", name, err)
		}
	}
	fork := signed(t, id, func(s *statement) { s.name = "mallory" })
	if err := known.Verify(ctx, at, fork); reason(err) != Changed {
		t.Errorf("another statement with the same serial: %v", err)
	}
}

func TestKnownPeersBytes(t *testing.T) {
	known := new(KnownPeers)
	for i := range 5 {
		id := testIdentity(t, "x")
		for _, at := range []Expected{{Room: "blue"}, {Address: fmt.Sprint(i)}} {
			if err := known.Admit(at, id.Public()); err != nil {
				t.Fatal(err)
			}
		}
	}
	b := known.Bytes()
	got, err := ParseKnownPeers(b)
	if err != nil || !bytes.Equal(got.Bytes(), b) || len(got.Admitted(Expected{Room: "blue"})) != 5 {
		t.Errorf("came back otherwise: %v", err)
	}
	for n := range b {
		if _, err := ParseKnownPeers(b[:n]); !errors.Is(err, ErrKnownPeers) {
			t.Fatalf("%d bytes of %d: %v", n, len(b), err)
		}
	}
}

func FuzzParseKnownPeers(f *testing.F) {
	known := new(KnownPeers)
	_ = known.Admit(Expected{Room: "blue"}, testIdentity(f, "x").Public())
	f.Add(known.Bytes())
	f.Fuzz(func(t *testing.T, b []byte) {
		fuzzParse(t, b, func() ([]byte, error) {
			k, err := ParseKnownPeers(b)
			if err != nil {
				return nil, err
			}
			return k.Bytes(), nil
		})
	})
}

// A server has many clients. None of them is therefore a member or a server.
func TestKnownPeersByRole(t *testing.T) {
	alice, bob := testIdentity(t, "alice"), testIdentity(t, "bob")
	known := new(KnownPeers)
	clients := Expected{Role: RoleClient}
	for _, id := range []*keys.Identity{alice, bob} {
		if err := known.Admit(clients, id.Public()); err != nil {
			t.Fatal(err)
		}
	}
	for _, id := range []*keys.Identity{alice, bob} {
		if err := known.Verify(t.Context(), clients, id.Public()); err != nil {
			t.Errorf("a client: %v", err)
		}
	}
	for _, other := range []Expected{{Role: RoleServer}, {Address: "x", Role: RoleClient}, {Room: "x", Role: RoleClient}} {
		if err := known.Verify(t.Context(), other, alice.Public()); reason(err) != Unknown {
			t.Errorf("%+v: %v", other, err)
		}
	}
	if err := known.Admit(Expected{Address: "hub", Role: RoleMember}, alice.Public()); err != nil {
		t.Fatal(err)
	}
	if err := known.Verify(t.Context(), Expected{Address: "hub", Role: RoleServer}, alice.Public()); reason(err) != Unknown {
		t.Errorf("a member as a server: %v", err)
	}
}

func TestAdmitReplacesAtAnAddress(t *testing.T) {
	alice, eve := testIdentity(t, "alice"), testIdentity(t, "eve")
	known := new(KnownPeers)
	at := Expected{Address: "x", Role: RoleServer}
	for _, id := range []*keys.Identity{alice, eve} {
		if err := known.Admit(at, id.Public()); err != nil {
			t.Fatal(err)
		}
	}
	if got := known.Admitted(at); !slices.Equal(got, []keys.Fingerprint{eve.Fingerprint()}) {
		t.Errorf("admitted: %v", got)
	}
	if err := known.Verify(t.Context(), at, alice.Public()); reason(err) != Changed {
		t.Errorf("the one before: %v", err)
	}
}

// A revocation, and the highest serial, outlive the admission.
func TestRootsAreRememberedForGood(t *testing.T) {
	at := Expected{Address: "x", Role: RoleServer}
	for name, drop := range map[string]func(*KnownPeers, *keys.Identity){
		"replaced":  func(k *KnownPeers, _ *keys.Identity) { _ = k.Admit(at, testIdentity(t, "next").Public()) },
		"forgotten": func(k *KnownPeers, id *keys.Identity) { _ = k.Forget(at, id.Fingerprint()) },
		"stored": func(k *KnownPeers, _ *keys.Identity) {
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
		if err := known.Admit(at, stolen); reason(err) != RolledBack {
			t.Errorf("%s, an older statement: %v", name, err)
		}
		if err := known.Verify(t.Context(), at, revocationOf(t, id)); reason(err) != Revoked {
			t.Errorf("%s, revocation: %v", name, err)
		}
		drop(known, id)
		for _, p := range []*keys.PublicIdentity{stolen, id.Public()} {
			if err := known.Admit(at, p); reason(err) != Revoked {
				t.Errorf("%s, after the revocation: %v", name, err)
			}
		}
	}
}

func TestKnownPeersRefuseUnwritablePlaces(t *testing.T) {
	known := new(KnownPeers)
	for _, at := range []Expected{{Room: "\xff"}, {Room: strings.Repeat("x", maxScopeSize+1)}, {Address: "x", Role: RoleMember + 1}} {
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
	if level, _ := known.Level(at, alice.Fingerprint()); level != FirstUse {
		t.Errorf("known by %v", level)
	}
	if err := v.Verify(t.Context(), at, eve.Public()); reason(err) != Changed {
		t.Errorf("another one: %v", err)
	}
	for _, at := range []Expected{{Room: "blue"}, {Role: RoleClient}} {
		if err := v.Verify(t.Context(), at, eve.Public()); reason(err) != Unknown {
			t.Errorf("%+v: %v", at, err)
		}
	}
	if err := known.Admit(at, alice.Public()); err != nil {
		t.Fatal(err)
	}
	if level, _ := known.Level(at, alice.Fingerprint()); level != Verified {
		t.Errorf("once compared, known by %v", level)
	}
}

// A revocation replaces nothing in the cache: the Verifier decides which statement counts.
func TestPublicCacheDecidesNothing(t *testing.T) {
	var c keys.PublicCache
	id := testIdentity(t, "alice")
	before, _ := c.Parse(id.Public().Bytes())
	known := new(KnownPeers)
	want := Expected{Address: "a", Role: RoleServer}
	if err := known.Admit(want, before); err != nil {
		t.Fatal(err)
	}
	if err := known.Verify(t.Context(), want, before); err != nil {
		t.Fatal(err)
	}
	revoked, _ := c.Parse(revocationOf(t, id).Bytes())
	if err := known.Verify(t.Context(), want, revoked); err == nil {
		t.Error("a revoked identity is trusted")
	}
	old, _ := c.Parse(id.Public().Bytes())
	var refused *Error
	if err := known.Verify(t.Context(), want, old); !errors.As(err, &refused) || refused.Reason != Revoked {
		t.Errorf("an old statement from the cache: %v", err)
	}
}
