package sessionstore

import (
	"bytes"
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hopseal/hopseal/e2e"
)

func key(b byte) (k [32]byte) { k[0] = b; return k }

func record(version uint64, data string, ids ...byte) e2e.StoredSession {
	r := e2e.StoredSession{Key: key(1), Version: version, Expires: time.Now().Add(time.Hour).Truncate(time.Millisecond), Data: []byte(data)}
	for _, id := range ids {
		r.IDs = append(r.IDs, key(id))
	}
	return r
}

func mustSave(t testing.TB, s e2e.SessionStore, r e2e.StoredSession) {
	t.Helper()
	if err := s.Save(context.Background(), r); err != nil {
		t.Fatal(err)
	}
}

// wantRecord checks what each of some ids leads to.
func wantRecord(t testing.TB, s e2e.SessionStore, want e2e.StoredSession, ids ...byte) {
	t.Helper()
	for _, id := range ids {
		got, err := s.Load(context.Background(), key(id))
		if err != nil || got.Key != want.Key || got.Version != want.Version || !bytes.Equal(got.Data, want.Data) || !got.Expires.Equal(want.Expires) || len(got.IDs) != len(want.IDs) {
			t.Errorf("id %d leads to %+v, %v; want %+v", id, got, err, want)
		}
	}
}

func wantNone(t testing.TB, s e2e.SessionStore, ids ...byte) {
	t.Helper()
	for _, id := range ids {
		if got, err := s.Load(context.Background(), key(id)); !errors.Is(err, e2e.ErrNotStored) {
			t.Errorf("id %d leads to %+v, %v", id, got, err)
		}
	}
}

// What every store has to do.
func TestStores(t *testing.T) {
	for name, open := range stores {
		t.Run(name, func(t *testing.T) {
			ctx := t.Context()
			one, two := open(t)
			wantNone(t, one, 10)
			first := record(1, "first", 10)
			mustSave(t, one, first)
			wantRecord(t, two, first, 10)
			mustSave(t, two, first) // again: it is how an unknown outcome is settled
			for _, wrong := range []e2e.StoredSession{record(1, "another", 10), record(3, "too far", 10), record(1, "first", 10, 11)} {
				if err := two.Save(ctx, wrong); !errors.Is(err, e2e.ErrFenced) {
					t.Errorf("version %d in place of 1: %v", wrong.Version, err)
				}
			}
			second := record(2, "second", 10, 11)
			mustSave(t, two, second)
			wantRecord(t, one, second, 10, 11)
			third := record(3, "third", 11)
			mustSave(t, one, third)
			wantRecord(t, two, third, 11)
			wantNone(t, two, 10)
			for _, bad := range []e2e.StoredSession{{Version: 1}, record(0, "", 10), record(4, "", 1, 2, 3)} {
				if err := one.Save(ctx, bad); err == nil {
					t.Errorf("saved %+v", bad)
				}
			}

			if err := two.Delete(ctx, key(1), 2); !errors.Is(err, e2e.ErrFenced) {
				t.Errorf("an old version was deleted: %v", err)
			}
			wantRecord(t, one, third, 11)
			if err := two.Delete(ctx, key(1), 3); err != nil {
				t.Error(err)
			}
			wantNone(t, one, 10, 11)
			if err := two.Delete(ctx, key(1), 3); err != nil {
				t.Errorf("deleted twice: %v", err)
			}
			if err := one.Save(ctx, record(4, "after the end", 11)); !errors.Is(err, e2e.ErrFenced) {
				t.Errorf("a session came back: %v", err)
			}

			expired := record(1, "expired", 12)
			expired.Expires = time.Now().Add(-time.Second)
			mustSave(t, one, expired)
			wantNone(t, one, 12)
			other := record(1, "lives", 13)
			other.Key = key(2)
			mustSave(t, one, other)
			if err := two.Sweep(ctx); err != nil {
				t.Error(err)
			}
			wantRecord(t, one, other, 13)
			mustSave(t, one, record(1, "a new one", 12)) // of the version that only an absent one has
		})
	}
}

// Of all who save at one time, one has saved.
func TestStoresUnderContention(t *testing.T) {
	for name, open := range stores {
		t.Run(name, func(t *testing.T) {
			one, two := open(t)
			mustSave(t, one, record(1, "", 10))
			for version := uint64(2); version < 7; version++ {
				var winners atomic.Int32
				var all sync.WaitGroup
				for n := range 8 {
					all.Go(func() {
						store := one
						if n%2 == 0 {
							store = two
						}
						err := store.Save(context.Background(), record(version, string(rune('a'+n)), 10, byte(20+n)))
						if err == nil {
							winners.Add(1)
						} else if !errors.Is(err, e2e.ErrFenced) {
							t.Error(err)
						}
					})
				}
				if all.Wait(); winners.Load() != 1 {
					t.Fatalf("version %d was saved %d times", version, winners.Load())
				}
				if got, err := one.Load(context.Background(), key(10)); err != nil || got.Version != version {
					t.Fatal(got, err)
				}
			}
		})
	}
}

// A value has one encoding.
func FuzzA32DecodeSession(f *testing.F) {
	f.Add(encodeSession(record(1, "data", 10)))
	f.Add(encodeSession(record(1, "", 10, 11)))
	f.Fuzz(func(t *testing.T, b []byte) {
		if s, err := decodeSession(b); err == nil && !bytes.Equal(encodeSession(s), b) {
			t.Error("a second encoding was accepted")
		}
	})
}

func FuzzA32DecodeID(f *testing.F) {
	f.Add(encodeID(key(1), time.UnixMilli(1e12)))
	f.Fuzz(func(t *testing.T, b []byte) {
		if k, expires, err := decodeID(b); err == nil && !bytes.Equal(encodeID(k, expires), b) {
			t.Error("a second encoding was accepted")
		}
	})
}
