package sessionstore

import (
	"errors"
	"testing"
	"time"
)

// What a record needs is written once, and the record again and again. A clock that is set years
// ahead between makes that look old, and the sweep leaves it all the same: else a session that is
// alive could not be found any more.
func TestSweepLeavesWhatARecordNeeds(t *testing.T) {
	ctx := t.Context()
	values := &memory{values: map[string]versioned{}}
	store := Over(values)
	old := time.Now().Add(-365 * 24 * time.Hour)
	id, part, stray := key(10), key(20), key(21)
	for _, p := range [][32]byte{part, stray} {
		if err := store.SavePart(ctx, Part{Key: key(1), ID: p, Expires: old, Data: []byte("messages")}); err != nil {
			t.Fatal(err)
		}
	}
	r := record(1, "lives", 10)
	r.Parts = [][32]byte{part}
	mustSave(t, store, r)
	pointers := func() {
		t.Helper()
		for _, i := range [][32]byte{id, key(11)} { // the other one is none of the record's
			_, version, err := values.Get(ctx, idName(i))
			if done, putErr := values.Put(ctx, idName(i), encodeID(pointer{key(1), r.IDs[0].Head, old}), version, old); !done || err != nil || putErr != nil {
				t.Fatal(done, err, putErr)
			}
		}
	}
	pointers()
	sweep := func() {
		t.Helper()
		if err := store.Sweep(ctx); err != nil {
			t.Fatal(err)
		}
	}
	sweep()
	wantRecord(t, store, r, 10)
	if data, err := store.LoadPart(ctx, key(1), part); err != nil || string(data) != "messages" {
		t.Errorf("a part that the record lists: %q, %v", data, err)
	}
	if _, err := store.LoadPart(ctx, key(1), stray); !errors.Is(err, ErrNotStored) {
		t.Errorf("a part that it does not list is there: %v", err)
	}
	if _, _, err := store.Find(ctx, key(11)); !errors.Is(err, ErrNotStored) {
		t.Errorf("an id that it does not have is there: %v", err)
	}

	if err := store.Delete(ctx, key(1), 1); err != nil {
		t.Fatal(err)
	}
	sweep()
	if len(values.values) > 0 {
		t.Errorf("%d values are left of a session that is over", len(values.values))
	}
}
