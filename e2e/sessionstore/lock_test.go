//go:build linux

package sessionstore

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"
)

// held locks every stripe of a store as another process would: a lock belongs to an open file.
func held(t *testing.T, path string) (release func()) {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(path, lockPrefix+"*"))
	if err != nil || len(names) == 0 {
		t.Fatal("no locks are there", err)
	}
	var files []*os.File
	for _, name := range names {
		f, err := os.OpenFile(name, os.O_RDWR, 0)
		if err != nil {
			t.Fatal(err)
		}
		if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != nil {
			t.Fatal(err)
		}
		files = append(files, f)
	}
	return sync.OnceFunc(func() {
		for _, f := range files {
			f.Close()
		}
	})
}

func descriptors(t *testing.T) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}

// A58: whoever waits for a lock that another process has stops with the context, and leaves
// nothing open. The same goes for who waits behind him in this process.
func TestA58LockIsWaitedForWhileTheContextLasts(t *testing.T) {
	path := filepath.Join(t.TempDir(), "sessions")
	store, err := Dir(path)
	if err != nil {
		t.Fatal(err)
	}
	mustSave(t, store, record(1, "first", 10))
	if err := store.SavePart(t.Context(), Part{Key: key(1), ID: key(20), Expires: time.Now().Add(time.Hour), Data: []byte("x")}); err != nil {
		t.Fatal(err)
	}
	second := record(2, "second", 10)
	second.Parts = [][32]byte{key(20)}
	old := record(1, "old", 10)
	old.Expires = time.Now().Add(-time.Hour)
	old.Key, old.IDs = key(9), []ID{headed(key(19))}
	mustSave(t, store, old)
	release := held(t, path)
	defer release()
	before := descriptors(t)
	for name, call := range map[string]func(context.Context) error{
		"Save":     func(ctx context.Context) error { return store.Save(ctx, second) },
		"Delete":   func(ctx context.Context) error { return store.Delete(ctx, key(1), 1) },
		"SavePart": func(ctx context.Context) error { return store.SavePart(ctx, Part{Key: key(1), ID: key(20)}) },
		"Sweep":    store.Sweep,
	} {
		var all sync.WaitGroup
		for range 3 {
			all.Go(func() {
				ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
				defer cancel()
				if err := call(ctx); !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("%s: %v", name, err)
				}
			})
		}
		all.Wait()
	}
	if after := descriptors(t); after > before {
		t.Errorf("%d descriptors, and %d before", after, before)
	}
	time.AfterFunc(20*time.Millisecond, release)
	mustSave(t, store, second) // once it is free
}
