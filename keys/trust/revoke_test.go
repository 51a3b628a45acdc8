package trust

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/hopseal/hopseal/keys"
)

// A revocation counts even if it comes before the peer is known, whatever follows.
func TestA62RevocationBeforeThePeerIsKnown(t *testing.T) {
	alice := testIdentity(t, "alice")
	known := new(KnownPeers)
	if err := known.Revoke(revocationOf(t, alice)); err != nil || !known.Knows(alice.Fingerprint()) || !known.Revoked(alice.Fingerprint()) {
		t.Fatalf("Revoke: %v", err)
	}
	at := Expected{Address: "x", Role: RoleServer}
	stored, err := ParseKnownPeers(known.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range []*KnownPeers{known, stored} {
		for name, try := range map[string]error{
			"admitted":           k.Admit(at, alice.Public()),
			"on first use":       k.TrustOnFirstUse().Verify(t.Context(), at, alice.Public()),
			"though pinned":      k.RefuseRevoked(Pinned(alice.Fingerprint())).Verify(t.Context(), at, alice.Public()),
			"though it is right": k.Verify(t.Context(), at, alice.Public()),
		} {
			if reason(try) != Revoked {
				t.Errorf("%s: %v", name, try)
			}
		}
	}
	if err := known.Revoke(alice.Public()); !errors.Is(err, ErrNotRevocation) {
		t.Errorf("Revoke with an identity: %v", err)
	}
}

// What strangers show is refused and leaves nothing behind. What a known root shows leaves one entry,
// however often the root signs.
func TestStrangersDoNotFillTheList(t *testing.T) {
	alice, bob := testIdentity(t, "alice"), testIdentity(t, "bob")
	known := new(KnownPeers)
	writes := 0
	known.persist = func([]byte) (bool, error) { writes++; return true, nil }
	clients := Expected{Role: RoleClient}
	if err := known.Admit(clients, bob.Public()); err != nil {
		t.Fatal(err)
	}
	before := known.Bytes()
	for _, v := range []Verifier{known, known.TrustOnFirstUse(), known.RefuseRevoked(InsecureAnyone())} {
		if err := v.Verify(t.Context(), Expected{Address: "x", Role: RoleServer}, revocationOf(t, alice)); reason(err) != Revoked {
			t.Errorf("a stranger: %v", err)
		}
	}
	if !slices.Equal(before, known.Bytes()) || writes != 1 {
		t.Errorf("a stranger was remembered, in %d writes", writes)
	}
	for range 3 {
		time.Sleep(time.Millisecond)
		if err := known.Verify(t.Context(), clients, bobsRevocation(t, bob)); reason(err) != Revoked {
			t.Errorf("bob: %v", err)
		}
	}
	if writes != 2 || len(known.now().roots) != 1 {
		t.Errorf("%d roots in %d writes", len(known.now().roots), writes)
	}
}

// bobsRevocation returns another revocation each time.
func bobsRevocation(t *testing.T, bob *keys.Identity) *keys.PublicIdentity {
	t.Helper()
	name := fmt.Sprint("bob", time.Now().UnixNano())
	return signed(t, bob, func(s *statement) { s.name, s.serial, s.keys = name, revokedSerial, nil })
}

// The list has a limit. Beyond that it has room only for roots that it knows.
func TestRevocationsAreBounded(t *testing.T) {
	alice, bob := testIdentity(t, "alice"), testIdentity(t, "bob")
	known := new(KnownPeers)
	if err := known.Admit(Expected{Role: RoleClient}, bob.Public()); err != nil {
		t.Fatal(err)
	}
	n := known.now()
	for i := range MaxRevoked {
		n.revoke(keys.Fingerprint{1, byte(i >> 8), byte(i)}, [32]byte{1})
	}
	known.known.Store(&n)
	if err := known.Revoke(revocationOf(t, alice)); !errors.Is(err, ErrTooManyRevoked) || known.Knows(alice.Fingerprint()) {
		t.Errorf("one more: %v", err)
	}
	if err := known.Revoke(revocationOf(t, bob)); err != nil || !known.Revoked(bob.Fingerprint()) {
		t.Errorf("one that was known: %v", err)
	}
	if size := len(known.Bytes()); size > 120*MaxRevoked {
		t.Errorf("%d bytes", size)
	}
}

// Nobody stays trusted on the word of a revoked root, in whichever order the two statements come,
// even down a chain. Only somebody whose fingerprint a person has compared stays trusted.
func TestRevocationUndoesSuccessions(t *testing.T) {
	for name, compared := range map[string]bool{"on its word": false, "compared": true} {
		t.Run(name, func(t *testing.T) {
			a, b, c := testIdentity(t, "a"), testIdentity(t, "b"), testIdentity(t, "c")
			known := new(KnownPeers)
			at, room := Expected{Address: "x", Role: RoleServer}, Expected{Room: "blue"}
			ab, _ := Succeed(a, b)
			bc, _ := Succeed(b, c)
			err := errors.Join(known.Admit(at, a.Public()), known.Admit(room, a.Public()), known.Succeed(ab), known.Succeed(bc))
			if err == nil && compared {
				err = known.Admit(at, c.Public())
			}
			if err == nil {
				err = known.Revoke(revocationOf(t, a))
			}
			if err != nil {
				t.Fatal(err)
			}
			var expect Reason
			if !compared {
				expect = Changed
			}
			if err := known.Verify(t.Context(), at, c.Public()); reason(err) != expect || (err == nil) != compared {
				t.Errorf("the heir: %v", err)
			}
			if err := known.TrustOnFirstUse().Verify(t.Context(), at, c.Public()); reason(err) != expect || (err == nil) != compared {
				t.Errorf("the heir on first use: %v", err)
			}
			if err := known.Verify(t.Context(), room, c.Public()); reason(err) != Unknown {
				t.Errorf("the heir in the room: %v", err)
			}
			if err := known.Succeed(ab); reason(err) != Revoked {
				t.Errorf("once more: %v", err)
			}
			if err := errors.Join(known.Admit(at, c.Public()), known.Verify(t.Context(), at, c.Public())); err != nil {
				t.Errorf("compared: %v", err)
			}
		})
	}
}

// A withdrawn root succeeds nobody, and no root succeeds itself.
func TestSuccessorMustBeSomebody(t *testing.T) {
	a, b, c := testIdentity(t, "a"), testIdentity(t, "b"), testIdentity(t, "c")
	at := Expected{Address: "x", Role: RoleServer}
	ab, _ := Succeed(a, b)
	ba, _ := Succeed(b, a)
	bc, _ := Succeed(b, c)
	known := new(KnownPeers)
	if err := errors.Join(known.Revoke(revocationOf(t, b)), known.Admit(at, a.Public())); err != nil {
		t.Fatal(err)
	}
	if err := known.Succeed(ab); reason(err) != Revoked || known.Verify(t.Context(), at, a.Public()) != nil {
		t.Errorf("a revoked heir: %v", err)
	}
	known = new(KnownPeers)
	if err := errors.Join(known.Admit(at, a.Public()), known.Succeed(ab)); err != nil {
		t.Fatal(err)
	}
	if err := known.Succeed(ba); reason(err) != Revoked || known.Verify(t.Context(), at, b.Public()) != nil {
		t.Errorf("back: %v", err)
	}
	// A list that hears of the later one first trusts the same roots in the end.
	known = new(KnownPeers)
	err := errors.Join(known.Admit(at, a.Public()), known.Admit(Expected{Room: "r"}, b.Public()), known.Succeed(bc), known.Succeed(ab))
	if err != nil || known.Verify(t.Context(), at, c.Public()) != nil {
		t.Errorf("the end of the chain: %v", err)
	}
}

// A revoked root is trusted nowhere, whatever is done in whatever order, nor is anybody who is
// trusted on its word. Listeners hear of each yes that becomes a no.
func TestTombstonesWin(t *testing.T) {
	const roots = 3
	var ids [roots]*keys.Identity
	var statements [roots][]*keys.PublicIdentity
	var revocations [roots]*keys.PublicIdentity
	for i := range ids {
		ids[i] = testIdentity(t, fmt.Sprint(i))
		statements[i] = append(statements[i], ids[i].Public())
		if err := ids[i].Renew(); err != nil {
			t.Fatal(err)
		}
		statements[i] = append(statements[i], ids[i].Public())
		revocations[i] = revocationOf(t, ids[i])
	}
	places := []Expected{{Address: "x", Role: RoleServer}, {Room: "blue"}, {Role: RoleClient}}
	for seed := range uint64(60) {
		r := rand.New(rand.NewPCG(seed, 1))
		known, revoked, told := new(KnownPeers), map[int]bool{}, false
		known.OnChange(func() { told = true })
		var log []string
		for range 30 {
			i, j, at := r.IntN(roots), r.IntN(roots), places[r.IntN(len(places))]
			p := statements[i][r.IntN(2)]
			before := trustedIn(known, statements[:], places)
			told = false
			step := r.IntN(8)
			log = append(log, fmt.Sprint(step, i, j, at))
			switch step {
			case 0:
				if r.IntN(3) == 0 && known.Revoke(revocations[i]) == nil {
					revoked[i] = true
				}
			case 1:
				known.Admit(at, p)
			case 2:
				known.TrustOnFirstUse().Verify(t.Context(), at, p)
			case 3:
				known.Verify(t.Context(), at, p)
			case 4:
				known.Forget(at, ids[i].Fingerprint())
			case 5:
				if i != j {
					s, _ := Succeed(ids[i], ids[j])
					known.Succeed(s)
				}
			case 6:
				again, err := ParseKnownPeers(known.Bytes())
				if err != nil {
					t.Fatal(err)
				}
				known.known.Store(again.known.Load())
			case 7:
				if r.IntN(3) == 0 && known.Knows(ids[i].Fingerprint()) {
					known.Verify(t.Context(), at, revocations[i])
					revoked[i] = true
				}
			}
			after := trustedIn(known, statements[:], places)
			for what, yes := range after {
				if yes && revoked[what.root] {
					t.Fatalf("seed %d: %+v is trusted after %v", seed, what, log)
				}
			}
			for what, yes := range before {
				if yes && !anyOf(after, what) && !told {
					t.Fatalf("seed %d: nobody was told that %+v is not trusted any more: %v", seed, what, log)
				}
			}
		}
	}
}

type trusted struct{ root, statement, place int }

// trustedIn asks a copy, since asking may make it learn.
func trustedIn(k *KnownPeers, statements [][]*keys.PublicIdentity, places []Expected) map[trusted]bool {
	out := map[trusted]bool{}
	for root, all := range statements {
		for i, p := range all {
			for j, at := range places {
				copied := new(KnownPeers)
				n := k.now()
				copied.known.Store(&n)
				out[trusted{root, i, j}] = copied.Verify(context.Background(), at, p) == nil
			}
		}
	}
	return out
}

// anyOf reports whether any statement of the root is trusted there: of another one that
// has been seen nobody is told.
func anyOf(yes map[trusted]bool, what trusted) bool {
	return yes[what] || yes[trusted{what.root, 1, what.place}]
}
