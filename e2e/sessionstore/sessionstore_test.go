package sessionstore

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

func key(b byte) (k [32]byte) { k[0] = b; return k }

// headed is an id with a head that tells it from others.
func headed(id [32]byte) ID {
	return ID{ID: id, Head: append([]byte("head "), id[:]...)}
}

// load returns what an id leads to.
func load(s Store, id [32]byte) (Record, error) {
	key, head, err := s.Find(context.Background(), id)
	if err != nil {
		return Record{}, err
	}
	if !bytes.Equal(head, headed(id).Head) {
		return Record{}, errors.New("the head is that of another id")
	}
	r, err := s.Load(context.Background(), key)
	if err == nil && !slices.ContainsFunc(r.IDs, func(x ID) bool { return x.ID == id }) {
		return r, ErrNotStored // the record has the last word
	}
	return r, err
}

func record(version uint64, data string, ids ...byte) Record {
	r := Record{Key: key(1), Version: version, Expires: time.Now().Add(time.Hour).Truncate(time.Millisecond), Data: []byte(data)}
	for _, id := range ids {
		r.IDs = append(r.IDs, headed(key(id)))
	}
	return r
}

func mustSave(t testing.TB, s Store, r Record) {
	t.Helper()
	if err := s.Save(context.Background(), r); err != nil {
		t.Fatal(err)
	}
}

// wantRecord checks what each of some ids leads to.
func wantRecord(t testing.TB, s Store, want Record, ids ...byte) {
	t.Helper()
	for _, id := range ids {
		got, err := load(s, key(id))
		if err != nil || got.Key != want.Key || got.Version != want.Version || !bytes.Equal(got.Data, want.Data) || !got.Expires.Equal(want.Expires) || len(got.IDs) != len(want.IDs) {
			t.Errorf("id %d leads to %+v, %v; want %+v", id, got, err, want)
		}
	}
}

func wantNone(t testing.TB, s Store, ids ...byte) {
	t.Helper()
	for _, id := range ids {
		if got, err := load(s, key(id)); !errors.Is(err, ErrNotStored) {
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
			mustSave(t, two, first) // again: so does whoever does not know whether a Save succeeded
			for _, wrong := range []Record{record(1, "another", 10), record(3, "too far", 10), record(1, "first", 10, 11)} {
				if err := two.Save(ctx, wrong); !errors.Is(err, ErrFenced) {
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
			for _, bad := range []Record{{Version: 1}, record(0, "", 10), record(4, "", 1, 2, 3)} {
				if err := one.Save(ctx, bad); err == nil {
					t.Errorf("saved %+v", bad)
				}
			}

			if err := two.Delete(ctx, key(1), 2); !errors.Is(err, ErrFenced) {
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
			if err := one.Save(ctx, record(4, "after the end", 11)); !errors.Is(err, ErrFenced) {
				t.Errorf("a session came back: %v", err)
			}

			expired := record(1, "expired", 12)
			expired.Key = key(3)
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
			if _, _, err := one.Find(ctx, key(12)); !errors.Is(err, ErrNotStored) {
				t.Errorf("the id of a record that was swept leads somewhere: %v", err)
			}
			expired.Expires = time.Now().Add(time.Hour)
			mustSave(t, one, expired) // of the version that only an absent one has
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
						} else if !errors.Is(err, ErrFenced) {
							t.Error(err)
						}
					})
				}
				if all.Wait(); winners.Load() != 1 {
					t.Fatalf("version %d was saved %d times", version, winners.Load())
				}
				if got, err := load(one, key(10)); err != nil || got.Version != version {
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
	f.Add(encodeID(pointer{key(1), []byte("head"), time.UnixMilli(1e12)}))
	f.Fuzz(func(t *testing.T, b []byte) {
		if p, err := decodeID(b); err == nil && !bytes.Equal(encodeID(p), b) {
			t.Error("a second encoding was accepted")
		}
	})
}

func FuzzA32DecodePart(f *testing.F) {
	f.Add(encodePart(part(1, "data")))
	f.Fuzz(func(t *testing.T, b []byte) {
		if p, err := decodePart(b); err == nil && !bytes.Equal(encodePart(p), b) {
			t.Error("a second encoding was accepted")
		}
	})
}

// part returns a part of the record of key(1).
func part(id byte, data string) Part {
	return Part{Key: key(1), ID: key(id), Expires: time.Now().Add(time.Hour).Truncate(time.Millisecond), Data: []byte(data)}
}

func mustSavePart(t testing.TB, s Store, p Part) {
	t.Helper()
	if err := s.SavePart(context.Background(), p); err != nil {
		t.Fatal(err)
	}
}

// wantParts checks which parts of a record are there.
func wantParts(t testing.TB, s Store, there map[byte]string, gone ...byte) {
	t.Helper()
	for id, want := range there {
		if got, err := s.LoadPart(context.Background(), key(1), key(id)); err != nil || string(got) != want {
			t.Errorf("part %d: %q, %v; want %q", id, got, err, want)
		}
	}
	for _, id := range gone {
		if got, err := s.LoadPart(context.Background(), key(1), key(id)); !errors.Is(err, ErrNotStored) {
			t.Errorf("part %d is there: %q, %v", id, got, err)
		}
	}
}

// withParts is a record that lists parts.
func withParts(r Record, ids ...byte) Record {
	for _, id := range ids {
		r.Parts = append(r.Parts, key(id))
	}
	return r
}

// Parts are there for as long as the record lists them, and go with it.
func TestPartsGoWithTheirRecord(t *testing.T) {
	for name, open := range stores {
		t.Run(name, func(t *testing.T) {
			one, two := open(t)
			mustSavePart(t, one, part(30, "a"))
			mustSavePart(t, one, part(30, "a")) // again: its outcome was unknown
			if err := two.SavePart(t.Context(), part(30, "b")); err == nil {
				t.Error("a part was replaced")
			}
			mustSave(t, one, withParts(record(1, "first", 10), 30))
			mustSavePart(t, one, part(31, "b"))
			mustSave(t, one, withParts(record(2, "second", 10), 30, 31))
			wantParts(t, two, map[byte]string{30: "a", 31: "b"}, 32)
			if got, err := load(two, key(10)); err != nil || len(got.Parts) != 2 || got.Parts[1] != key(31) {
				t.Errorf("the record lists %d parts, %v", len(got.Parts), err)
			}
			if _, err := two.LoadPart(t.Context(), key(2), key(30)); !errors.Is(err, ErrNotStored) {
				t.Errorf("a part is that of another record: %v", err)
			}
			mustSave(t, two, withParts(record(3, "third", 10), 31))
			wantParts(t, one, map[byte]string{31: "b"}, 30)
			mustSavePart(t, one, part(33, "of a process that was fenced"))
			if err := one.Save(t.Context(), withParts(record(3, "other", 10), 31, 33)); !errors.Is(err, ErrFenced) {
				t.Error(err)
			}
			wantParts(t, one, map[byte]string{31: "b"}, 33)
			if err := one.Delete(t.Context(), key(1), 3); err != nil {
				t.Error(err)
			}
			wantParts(t, one, nil, 31)

			old := part(34, "that nobody lists")
			old.Expires = time.Now().Add(-time.Second)
			mustSavePart(t, one, old)
			mustSavePart(t, one, part(35, "of a record that has expired"))
			expired := withParts(record(1, "", 10), 35)
			expired.Expires = time.Now().Add(-time.Second)
			mustSave(t, one, expired)
			if err := two.Sweep(t.Context()); err != nil {
				t.Error(err)
			}
			wantParts(t, one, nil, 34, 35)
		})
	}
}

// An id leads to one session at a time: a second one that wants it is not stored while the
// first is there, and takes it where that is gone or has expired.
func TestStoresGiveAnIDOnce(t *testing.T) {
	for name, open := range stores {
		t.Run(name, func(t *testing.T) {
			one, two := open(t)
			other := func(k byte, id byte) Record {
				r := record(1, "other", id)
				r.Key = key(k)
				return r
			}
			first, second := record(1, "first", 10), other(2, 10)
			mustSave(t, one, first)
			if err := two.Save(t.Context(), other(2, 10)); !errors.Is(err, ErrFenced) {
				t.Errorf("a second session with one id: %v", err)
			}
			if _, err := two.Load(t.Context(), key(2)); !errors.Is(err, ErrNotStored) {
				t.Errorf("it is there: %v", err)
			}
			wantRecord(t, one, first, 10)
			short := record(2, "first", 10)
			short.Expires = time.Now().Add(-time.Second)
			mustSave(t, one, short)
			mustSave(t, two, second)
			wantRecord(t, one, second, 10)
			if err := one.Delete(t.Context(), key(1), 2); err != nil {
				t.Error(err)
			}
			wantRecord(t, one, second, 10) // the end of the one does not take it from the other

			for range 20 { // at the same time
				var winners atomic.Int32
				var all sync.WaitGroup
				for n := range byte(4) {
					all.Go(func() {
						err := []Store{one, two}[n%2].Save(context.Background(), other(100+n, 50))
						if err == nil {
							winners.Add(1)
						} else if !errors.Is(err, ErrFenced) {
							t.Error(err)
						}
					})
				}
				if all.Wait(); winners.Load() != 1 {
					t.Fatalf("%d sessions were stored under one id", winners.Load())
				}
				for n := range byte(4) {
					one.Delete(context.Background(), key(100+n), 1)
				}
			}
		})
	}
}
