package keystore

import (
	"errors"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hopseal/hopseal/keys"
	"github.com/hopseal/hopseal/keys/insecurecleartext"
	"github.com/hopseal/hopseal/keys/trust"
)

// lowered gives AES256_GCM keys few messages, and reserves few at a time.
func lowered(t testing.TB, block, limit uint64) {
	b, l := sealBlock, sealLimit
	sealBlock, sealLimit = block, limit
	t.Cleanup(func() { sealBlock, sealLimit = b, l })
}

// aesStore returns a store with one AES256_GCM pair.
func aesStore(t testing.TB) (*Store, *keys.SharedKeyset) {
	t.Helper()
	set := aesKeyset(t)
	return stored(t, set), set
}

func orders(t testing.TB, s interface {
	SharedKeyset(string) (*keys.SharedKeyset, bool)
}) *keys.SharedKeyset {
	t.Helper()
	set, ok := s.SharedKeyset("orders")
	if !ok {
		t.Fatal("the keyset is gone")
	}
	return set
}

// onDisk is what the store's file says that the first key may have sealed.
func onDisk(t testing.TB, s *Store) uint64 {
	t.Helper()
	r, err := OpenReplica(t.Context(), s.path, passphrase)
	if err != nil {
		t.Fatal(err)
	}
	return reservedOf(orders(t, r))[0]
}

// sealUpTo seals up to n messages and returns how many it could, and what stopped it.
func sealUpTo(t testing.TB, k *keys.SharedKey, n int) (sealed int, err error) {
	t.Helper()
	for sealed < n {
		b, err := k.Seal(nil, []byte("m"), nil)
		if err != nil {
			if b != nil {
				t.Fatalf("an error and %x", b)
			}
			return sealed, err
		}
		if got, err := k.Open(nil, b, nil); err != nil || string(got) != "m" {
			t.Fatalf("message %d opens as %q, %v", sealed, got, err)
		}
		sealed++
	}
	return sealed, nil
}

// writes counts what the store writes from here on.
func writes(s *Store) *atomic.Uint64 {
	n := new(atomic.Uint64)
	s.written = func(step string) {
		if step == "directory synced" {
			n.Add(1)
		}
	}
	return n
}

// A19: a key seals as many messages as it may, in blocks that are on disk before
// their first message, and no more. It goes on opening, and a new key seals.
func TestA19SealLimit(t *testing.T) {
	lowered(t, 4, 10)
	s, set := aesStore(t)
	written := writes(s)
	k := set.Primary()
	first := must(k.Seal(nil, []byte("first"), nil))
	for n := 1; n < 10; n++ {
		want := min((uint64(n)+3)/4*4, 10)
		if got := onDisk(t, s); got != want {
			t.Fatalf("after %d messages %d are reserved, want %d", n, got, want)
		}
		if _, err := sealUpTo(t, k, 1); err != nil {
			t.Fatal(err)
		}
	}
	for range 5 {
		if n, err := sealUpTo(t, k, 1); n != 0 || !errors.Is(err, keys.ErrSealLimit) {
			t.Fatalf("sealed %d beyond the limit, %v", n, err)
		}
	}
	if written.Load() != 3 {
		t.Errorf("%d writes for 3 blocks", written.Load())
	}
	if got, err := k.Open(nil, first, nil); err != nil || string(got) != "first" {
		t.Error(err)
	}
	for _, verb := range []string{"add", "promote"} {
		if err := takeStep(s, "shared "+verb); err != nil {
			t.Fatal(err)
		}
	}
	if n, err := sealUpTo(t, set.Primary(), 20); n != 10 || !errors.Is(err, keys.ErrSealLimit) {
		t.Errorf("the new primary sealed %d, %v", n, err)
	}
	if n, _ := sealUpTo(t, k, 1); n != 0 {
		t.Error("the old key has begun again")
	}
}

// A19: a restart goes on behind what was reserved; whatever else is written
// meanwhile keeps it.
func TestA19SealLimitAcrossRestarts(t *testing.T) {
	lowered(t, 4, 21)
	s, _ := aesStore(t)
	total := 0
	for session, want := range []struct{ seal, reserved int }{{0, 0}, {1, 4}, {0, 4}, {5, 12}, {4, 16}, {1, 20}, {9, 21}} {
		n, err := sealUpTo(t, orders(t, s).Primary(), want.seal)
		total += n
		if n < want.seal && !errors.Is(err, keys.ErrSealLimit) {
			t.Fatal(err)
		}
		for step, err := range map[string]error{
			"renew": s.Renew(), "add": takeStep(s, "shared add"), "sign": takeStep(s, "signing add"),
			"admit":  s.KnownPeers().Admit(trust.Expected{Room: "r"}, testIdentity(t, "bob").Public()),
			"put":    s.PutSharedKeyset("invoices "+string(rune('a'+session)), aesKeyset(t)),
			"rotate": second(s.Rotate(RotationPolicy{Lead: time.Hour})),
		} {
			if err != nil {
				t.Fatalf("%s: %v", step, err)
			}
		}
		if got := onDisk(t, s); got != uint64(want.reserved) {
			t.Fatalf("session %d: %d are reserved, want %d", session, got, want.reserved)
		}
		s = reopen(t, s)
	}
	if n, err := sealUpTo(t, orders(t, s).Primary(), 1); n != 0 || !errors.Is(err, keys.ErrSealLimit) {
		t.Errorf("sealed after the limit, %v", err)
	}
	if total != 12 { // 0, 1, 0, 5, 4, 1 and the last one
		t.Errorf("%d messages", total)
	}
}

// A19: a block that is not on disk is not used, and costs nothing.
func TestA19NothingIsSealedWhereTheWriteFails(t *testing.T) {
	lowered(t, 4, 10)
	s, set := aesStore(t)
	if n, err := sealUpTo(t, set.Primary(), 3); n != 3 {
		t.Fatal(err)
	}
	path := s.path
	s.path = filepath.Join(path, "below", "a file") // where nothing can be written
	if n, err := sealUpTo(t, set.Primary(), 2); n != 1 || err == nil || errors.Is(err, keys.ErrSealLimit) {
		t.Fatalf("sealed %d of the one that was reserved, %v", n, err)
	}
	for range 20 {
		if n, err := sealUpTo(t, set.Primary(), 1); n != 0 || err == nil {
			t.Fatalf("sealed %d, %v", n, err)
		}
	}
	s.path = path
	if n, err := sealUpTo(t, set.Primary(), 20); n != 6 || !errors.Is(err, keys.ErrSealLimit) {
		t.Errorf("%d more, want 6: %v", n, err)
	}
}

// A19: sealers cross blocks together. Each block is written once, none of them seals
// before it is on disk, and all together seal what the key may.
func TestA19ConcurrentSealers(t *testing.T) {
	const block, limit, sealers = 7, 500, 8
	lowered(t, block, limit)
	s, set := aesStore(t)
	var sealed, reserved, written atomic.Uint64
	s.written = func(step string) {
		if sealed.Load() > reserved.Load() {
			t.Errorf("%d sealed, %d on disk, at %q", sealed.Load(), reserved.Load(), step)
		}
		if step == "directory synced" {
			written.Add(1)
			reserved.Store(min(reserved.Load()+block, limit))
		}
	}
	var running sync.WaitGroup
	for range sealers {
		running.Go(func() {
			for range 2 * limit {
				_, err := set.Primary().Seal(nil, []byte("m"), nil)
				if err != nil {
					if !errors.Is(err, keys.ErrSealLimit) {
						t.Error(err)
					}
					return
				}
				if n := sealed.Add(1); n > reserved.Load() {
					t.Errorf("%d sealed, %d on disk", n, reserved.Load())
				}
			}
		})
	}
	running.Wait()
	if want := uint64(limit+block-1) / block; sealed.Load() != limit || written.Load() != want {
		t.Errorf("%d messages in %d writes, want %d in %d", sealed.Load(), written.Load(), limit, want)
	}
}

// A19: more sealers than a block has messages wait for as many blocks as they need.
func TestA19MoreSealersThanABlock(t *testing.T) {
	lowered(t, 1, 5)
	_, set := aesStore(t)
	var sealed, refused atomic.Uint64
	var running sync.WaitGroup
	for range 40 {
		running.Go(func() {
			if _, err := set.Primary().Seal(nil, nil, nil); err == nil {
				sealed.Add(1)
			} else if errors.Is(err, keys.ErrSealLimit) {
				refused.Add(1)
			}
		})
	}
	running.Wait()
	if sealed.Load() != 5 || refused.Load() != 35 {
		t.Errorf("%d sealed, %d refused", sealed.Load(), refused.Load())
	}
}

// A19, A20: who does not write the store does not seal: a replica, a copy that was
// parsed, pairs from before the keyset was in the store.
func TestA19CopiesOnlyOpen(t *testing.T) {
	set := aesKeyset(t)
	before := set.Primary()
	s := stored(t, set)
	sealed := must(set.Primary().Seal(nil, []byte("m"), nil))
	r, err := OpenReplica(t.Context(), s.path, passphrase)
	if err != nil {
		t.Fatal(err)
	}
	followed := orders(t, r)
	check := func() {
		t.Helper()
		for name, k := range map[string]*keys.SharedKey{"replica": followed.Primary(), "copy": handOver(t, s).Primary(), "from before": before} {
			if n, err := sealUpTo(t, k, 1); n != 0 || !errors.Is(err, keys.ErrSealLimit) {
				t.Errorf("%s: sealed, %v", name, err)
			}
			if got, err := k.Open(nil, sealed, nil); err != nil || string(got) != "m" {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
	check()
	if err := takeStep(s, "shared add"); err != nil {
		t.Fatal(err)
	}
	if changed, err := r.Refresh(t.Context()); !changed || err != nil {
		t.Fatal(err)
	}
	check()
	if n, _ := sealUpTo(t, set.Primary(), 1); n != 1 {
		t.Error("the writer does not seal")
	}
}

// A keyset that could not be stored is not counted, and so does not seal.
func TestA19FailedPutDoesNotSeal(t *testing.T) {
	cheap(t)
	s, path := newStore(t)
	s.path = filepath.Join(path, "below", "a file")
	set := aesKeyset(t)
	if err := s.PutSharedKeyset("orders", set); err == nil {
		t.Fatal("stored")
	}
	s.path = path
	if n, err := sealUpTo(t, set.Primary(), 1); n != 0 || !errors.Is(err, keys.ErrSealLimit) {
		t.Errorf("sealed, %v", err)
	}
}

// A20: a store that was closed has no more than the rest of its block, and the next
// one begins behind that.
func TestA20ClosedStoreKeepsToItsBlock(t *testing.T) {
	lowered(t, 4, 10)
	s, old := aesStore(t)
	if n, err := sealUpTo(t, old.Primary(), 1); n != 1 {
		t.Fatal(err)
	}
	next := orders(t, reopen(t, s))
	if n, err := sealUpTo(t, old.Primary(), 20); n != 3 || !errors.Is(err, ErrClosed) {
		t.Errorf("sealed %d, %v", n, err)
	}
	if n, err := sealUpTo(t, next.Primary(), 20); n != 6 || !errors.Is(err, keys.ErrSealLimit) {
		t.Errorf("sealed %d, %v", n, err)
	}
}

// A19, A20: nobody knows what was sealed after a backup was made: what is restored
// seals with new keys only.
func TestA19RestoredBackupReusesNothing(t *testing.T) {
	lowered(t, 4, 100)
	s, set := aesStore(t)
	sealed := must(set.Primary().Seal(nil, []byte("m"), nil))
	backup := must(s.MarshalCleartext(insecurecleartext.Token{}))
	if n, err := sealUpTo(t, set.Primary(), 50); n != 50 {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "restored.store")
	restored, err := Restore(t.Context(), path, passphrase, backup, insecurecleartext.Token{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { restored.Close() })
	for range 2 {
		k := orders(t, restored).Primary()
		if n, err := sealUpTo(t, k, 1); n != 0 || !errors.Is(err, keys.ErrSealLimit) {
			t.Errorf("sealed, %v", err)
		}
		if got, err := k.Open(nil, sealed, nil); err != nil || string(got) != "m" {
			t.Error(err)
		}
		restored = reopen(t, restored)
	}
	if _, err := restored.Rotate(RotationPolicy{}); err != nil {
		t.Fatal(err)
	}
	if n, err := sealUpTo(t, orders(t, restored).Primary(), 1); n != 1 {
		t.Error(err)
	}
}

// A19: who takes a keyset over goes on behind the count of who hands it over, and
// from then on counts itself; no later state of it sets the count back.
func TestA19HandedOverKeysetGoesOnCounting(t *testing.T) {
	lowered(t, 4, 20)
	a, set := aesStore(t)
	if n, err := sealUpTo(t, set.Primary(), 6); n != 6 { // 8 reserved
		t.Fatal(err)
	}
	b := stored(t, handOver(t, a))
	if n, err := sealUpTo(t, orders(t, b).Primary(), 5); n != 5 { // 8 and 8
		t.Fatal(err)
	}
	if got := onDisk(t, b); got != 16 {
		t.Errorf("%d reserved, want 16", got)
	}
	for _, verb := range []string{"add", "promote"} {
		if err := takeStep(a, "shared "+verb); err != nil {
			t.Fatal(err)
		}
	}
	if n, err := sealUpTo(t, set.Primary(), 1); n != 1 { // 4 reserved
		t.Fatal(err)
	}
	old := orders(t, b).Primary()
	if err := b.UpdateSharedKeyset("orders", handOver(t, a)); err != nil {
		t.Fatal(err)
	}
	if got := onDisk(t, b); got != 16 {
		t.Errorf("%d reserved after the update, want 16", got)
	}
	if n, err := sealUpTo(t, old, 20); n != 7 || !errors.Is(err, keys.ErrSealLimit) { // of 20, 8 were a's and 5 sealed
		t.Errorf("the old key sealed %d more, %v", n, err)
	}
	if orders(t, b).Primary().ID() != set.Primary().ID() {
		t.Fatal("they seal with different keys")
	}
	if n, err := sealUpTo(t, orders(t, b).Primary(), 30); n != 16 || !errors.Is(err, keys.ErrSealLimit) { // of 20, 4 were a's
		t.Errorf("the new key sealed %d, %v", n, err)
	}
	again := orders(t, reopen(t, b))
	if got := reservedOf(again); got[0] != 20 || got[1] != 20 {
		t.Errorf("%v reserved", got)
	}
}

// A pair that was destroyed has no count any more, and a user who kept it cannot seal
// beyond its block.
func TestA19DestroyedKeyIsNotReservedFor(t *testing.T) {
	lowered(t, 4, 20)
	s, set := aesStore(t)
	old := set.Primary()
	if n, err := sealUpTo(t, old, 1); n != 1 {
		t.Fatal(err)
	}
	for _, verb := range []string{"add", "promote", "disable", "destroy"} {
		if err := takeStep(s, "shared "+verb); err != nil {
			t.Fatal(err)
		}
	}
	if n, err := sealUpTo(t, old, 20); n != 3 || !errors.Is(err, keys.ErrSealLimit) {
		t.Errorf("sealed %d, %v", n, err)
	}
	if got := reservedOf(set); len(got) != 1 || got[0] != 0 {
		t.Errorf("%v reserved for the new key", got)
	}
}

// Rotation makes a successor when half is spent, whatever the policy, and of the same
// type. XAES keys have no such limit.
func TestA19RotationComesBeforeTheLimit(t *testing.T) {
	lowered(t, 2, 10)
	s, set := aesStore(t)
	xaes := must(keys.GenerateSharedKeyset())
	if err := s.PutSharedKeyset("xaes", xaes); err != nil {
		t.Fatal(err)
	}
	first := set.Primary()
	for n := range 5 {
		if _, err := s.Rotate(RotationPolicy{Lead: time.Hour}); err != nil || len(set.Keys()) != 1 {
			t.Fatalf("after %d: %d keys, %v", n, len(set.Keys()), err)
		}
		must(first.Seal(nil, nil, nil))
		if n, err := sealUpTo(t, xaes.Primary(), 3); n != 3 {
			t.Fatal(err)
		}
	}
	now := time.Now()
	s.clock = func() time.Time { return now }
	next, err := s.Rotate(RotationPolicy{Lead: time.Hour})
	if got := stages(set.Keys(), keys.UseShared); err != nil || got != "primary pending" || next.Sub(now) > time.Hour {
		t.Fatalf("%s, next %v, %v", got, next, err)
	}
	if n, err := sealUpTo(t, set.Primary(), 4); n != 4 {
		t.Error("the half that is left for the lead does not seal", err)
	}
	now = now.Add(time.Hour)
	if _, err := s.Rotate(RotationPolicy{Lead: time.Hour, Overlap: time.Hour}); err != nil {
		t.Fatal(err)
	}
	if got := stages(set.Keys(), keys.UseShared); got != "retiring primary" || set.Primary().Overhead() != 28 {
		t.Errorf("%s", got)
	}
	if len(xaes.Keys()) != 1 {
		t.Error("XAES was rotated")
	}
	if _, err := s.Rotate(RotationPolicy{Follow: []string{"orders"}, Lead: time.Hour}); err != nil || len(set.Keys()) != 2 {
		t.Errorf("a followed keyset: %d keys, %v", len(set.Keys()), err)
	}
}

// The policy's count of messages goes on over restarts for keys that are counted on
// disk.
func TestPolicyCountsReservedMessages(t *testing.T) {
	lowered(t, 4, 1000)
	s, _ := aesStore(t)
	if n, err := sealUpTo(t, orders(t, s).Primary(), 1); n != 1 {
		t.Fatal(err)
	}
	s = reopen(t, s)
	if _, err := s.Rotate(RotationPolicy{Messages: 4, Lead: time.Hour}); err != nil || len(orders(t, s).Keys()) != 2 {
		t.Errorf("%d keys, %v", len(orders(t, s).Keys()), err)
	}
}

// XAES keysets are not touched by any of this: they seal everywhere, in version 1.
func TestXAESIsNotLimited(t *testing.T) {
	lowered(t, 1, 1)
	set := must(keys.GenerateSharedKeyset())
	if counted(set) {
		t.Fatal("another type was generated")
	}
	s := stored(t, set)
	written := writes(s)
	for name, k := range map[string]*keys.SharedKey{"stored": set.Primary(), "copy": handOver(t, s).Primary()} {
		if n, err := sealUpTo(t, k, 10); n != 10 || k.Overhead() != 40 {
			t.Errorf("%s: %v", name, err)
		}
	}
	if written.Load() != 0 {
		t.Errorf("%d writes", written.Load())
	}
	if b := must(set.MarshalCleartext(insecurecleartext.Token{})); b[0] != 0x93 || b[1] != 1 {
		t.Errorf("encoded as %x…", b[:2])
	}
}

// Inside a block, sealing allocates and writes nothing.
func TestAESSealDoesNotAllocate(t *testing.T) {
	s, set := aesStore(t)
	k, dst, m := set.Primary(), make([]byte, 0, 200), make([]byte, 64)
	must(k.Seal(dst, m, nil))
	written := writes(s)
	if n := testing.AllocsPerRun(1000, func() { must(k.Seal(dst, m, nil)) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
	if written.Load() != 0 {
		t.Errorf("%d writes inside a block of %d", written.Load(), sealBlock)
	}
}

func BenchmarkSeal(b *testing.B) {
	m, dst := make([]byte, 64), make([]byte, 0, 200)
	for name, set := range map[string]*keys.SharedKeyset{"XAES": must(keys.GenerateSharedKeyset()), "AES": aesKeyset(b)} {
		stored(b, set)
		k := set.Primary()
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				must(k.Seal(dst, m, nil))
			}
		})
	}
}
