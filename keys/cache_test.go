package keys

import (
	"bytes"
	"errors"
	"runtime"
	"slices"
	"sync"
	"testing"
)

// many returns n valid statements of one root.
func many(t testing.TB, n int) [][]byte {
	t.Helper()
	id := testIdentity(t, "alice")
	out := make([][]byte, n)
	for i := range out {
		out[i] = signed(t, id, func(p *PublicIdentity) { p.serial = uint64(i + 2) })
	}
	return out
}

func TestPublicCacheRemembers(t *testing.T) {
	var c PublicCache
	b := testIdentity(t, "alice").Public().Bytes()
	first, err := c.Parse(b)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := c.Parse(bytes.Clone(b)); err != nil || again != first {
		t.Errorf("parsed again: %v", err)
	}
}

// The cache accepts what ParsePublic accepts, and nothing that only looks like it.
func TestPublicCacheComparesEveryByte(t *testing.T) {
	var c PublicCache
	b := bytes.Clone(testIdentity(t, "alice").Public().Bytes())
	if _, err := c.Parse(b); err != nil {
		t.Fatal(err)
	}
	for bit := 0; bit < 8*len(b); bit += 7 { // in every byte, and each of its bits in turn
		b[bit/8] ^= 1 << (bit % 8)
		if _, err := c.Parse(b); !errors.Is(err, ErrPublicIdentity) {
			t.Fatalf("bit %d changed: %v", bit, err)
		}
		b[bit/8] ^= 1 << (bit % 8)
	}
	for n := range b {
		if _, err := c.Parse(b[:n]); err == nil {
			t.Fatalf("%d bytes of %d", n, len(b))
		}
	}
	if p, err := c.Parse(b); err != nil || !bytes.Equal(p.Bytes(), b) {
		t.Error(err)
	}
	if len(c.young) != 1 {
		t.Errorf("%d entries: what does not parse is remembered", len(c.young))
	}
}

// A caller that changes its bytes afterwards does not change the cache.
func TestPublicCacheKeepsCopies(t *testing.T) {
	var c PublicCache
	b := bytes.Clone(testIdentity(t, "alice").Public().Bytes())
	want, _ := c.Parse(b)
	kept := bytes.Clone(b)
	clear(b)
	if got, err := c.Parse(kept); got != want || err != nil {
		t.Error(err)
	}
	if _, err := c.Parse(b); err == nil {
		t.Error("zeros are an identity")
	}
}

// A34: strangers fill the cache with identities of their own up to its limit. An identity that is
// asked for all the time stays.
func TestA34PublicCacheIsBounded(t *testing.T) {
	var c PublicCache
	busy := testIdentity(t, "busy").Public().Bytes()
	want, _ := c.Parse(busy)
	flood := many(t, 5*PublicCacheSize/2)
	first, _ := c.Parse(flood[0])
	for _, b := range flood {
		if _, err := c.Parse(b); err != nil {
			t.Fatal(err)
		}
		if got, _ := c.Parse(busy); got != want {
			t.Fatal("what is in use was forgotten")
		}
		if n := len(c.young) + len(c.old); n > 2*PublicCacheSize {
			t.Fatalf("%d entries", n)
		}
	}
	if again, err := c.Parse(flood[0]); err != nil || again == first {
		t.Errorf("what was not asked for is still there: %v", err)
	}
}

// The cache takes the memory that its documentation says.
func TestPublicCacheMemory(t *testing.T) {
	var c PublicCache
	all := many(t, PublicCacheSize)
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	for _, b := range all {
		if _, err := c.Parse(b); err != nil {
			t.Fatal(err)
		}
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	each := (int64(after.HeapAlloc) - int64(before.HeapAlloc)) / PublicCacheSize
	if each > 4<<10 {
		t.Errorf("%d bytes each", each)
	}
	t.Logf("%d bytes each", each)
	runtime.KeepAlive(&c)
	runtime.KeepAlive(all)
}

func TestPublicCacheConcurrently(t *testing.T) {
	var c PublicCache
	all := many(t, 8)
	var workers sync.WaitGroup
	for i := range 8 {
		workers.Go(func() {
			for _, b := range slices.Concat(all[i:], all[:i]) {
				if p, err := c.Parse(b); err != nil || !bytes.Equal(p.Bytes(), b) {
					t.Error(err)
				}
			}
		})
	}
	workers.Wait()
}

func TestPublicCacheDoesNotAllocate(t *testing.T) {
	var c PublicCache
	b := testIdentity(t, "alice").Public().Bytes()
	c.Parse(b)
	if n := testing.AllocsPerRun(100, func() { c.Parse(b) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkPublicCache(b *testing.B) {
	var c PublicCache
	statements := many(b, PublicCacheSize)
	for _, s := range statements {
		c.Parse(s)
	}
	b.ResetTimer()
	for i := range b.N {
		c.Parse(statements[i%len(statements)])
	}
}
