//go:build unix

package keystore

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hopseal/hopseal/keys"
	"github.com/hopseal/hopseal/keys/trust"
)

var errDisk = errors.New("input/output error")

func failingSync(*os.File) error { return errDisk }

// TestChangesThatMayNotLast makes each kind of change on a disk that does not confirm the new file's name. The
// change is in the file, so memory has to follow, and the error says that it may be lost.
func TestChangesThatMayNotLast(t *testing.T) {
	base := killStore(t)
	for _, step := range lifeSteps {
		for _, use := range []string{"signing", "shared"} {
			s, err := Open(t.Context(), copyStore(t, base), passphrase)
			if err != nil {
				t.Fatal(err)
			}
			works := s.sync
			s.sync = failingSync
			err = takeStep(s, use+" "+step.name)
			if !errors.Is(err, ErrNotDurable) || !errors.Is(err, errDisk) || !strings.Contains(err.Error(), s.path) {
				t.Fatalf("%s %s: %v", use, step.name, err)
			}
			isOnDisk(t, s, use+" "+step.name)
			if err := s.confirmWrite(); !errors.Is(err, ErrNotDurable) {
				t.Fatalf("the store was not written anew: %v", err)
			}
			s.sync = works
			before := s.contents.generation
			if err := s.confirmWrite(); err != nil || s.contents.generation != before+1 {
				t.Fatalf("%v; the disk was asked about what it failed to write, which counts as written then: generation %d after %d", err, s.contents.generation, before)
			}
			isOnDisk(t, s, use+" "+step.name)
			if err := errors.Join(s.confirmWrite(), s.Close()); err != nil || s.contents.generation != before+1 {
				t.Fatal(err, s.contents.generation)
			}
		}
	}
}

// isOnDisk fails unless the file holds what the store holds in memory.
func isOnDisk(t *testing.T, s *Store, what string) {
	t.Helper()
	r, err := OpenReplica(t.Context(), s.path, passphrase)
	if err != nil {
		t.Fatal(err)
	}
	s.mu.Lock()
	memory, onDisk := s.freeze(), r.contents.freeze(r.contents.known.Bytes())
	memory.generation, onDisk.generation = s.contents.generation, r.contents.generation
	s.mu.Unlock()
	a, errA := memory.append(nil)
	b, errB := onDisk.append(nil)
	if errA != nil || errB != nil || !bytes.Equal(a, b) {
		t.Fatalf("%s: memory has generation %d, the file %d (%v, %v)", what, memory.generation, onDisk.generation, errA, errB)
	}
	if !bytes.Equal(s.KnownPeers().Bytes(), r.KnownPeers().Bytes()) {
		t.Fatalf("%s: the known peers are others", what)
	}
}

// TestABlockThatMayNotLastIsNotSealed reserves a block of messages on such a disk. A power cut could take the
// block back, so none of its messages may be sealed, and the block is reserved only once.
func TestABlockThatMayNotLastIsNotSealed(t *testing.T) {
	lowered(t, 4, 12)
	s, set := aesStore(t)
	works := s.sync
	s.sync = failingSync
	for range 10 {
		if n, err := sealUpTo(t, set.Primary(), 1); n != 0 || !errors.Is(err, ErrNotDurable) {
			t.Fatalf("sealed %d: %v", n, err)
		}
	}
	s.sync = works
	if n, err := sealUpTo(t, set.Primary(), 20); n != 12 || !errors.Is(err, keys.ErrSealLimit) {
		t.Fatalf("sealed %d: %v", n, err)
	}
}

// TestRunGoesOnWithADiskThatConfirmsNothing shows that Run takes all steps, and logs that they may be lost.
func TestRunGoesOnWithADiskThatConfirmsNothing(t *testing.T) {
	cheap(t)
	synctest.Test(t, func(t *testing.T) {
		s, _ := newStore(t)
		works := s.sync
		s.sync = failingSync
		log := new(bytes.Buffer)
		p := DefaultRotation
		p.Age, p.Lead, p.Overlap = time.Hour, 0, 0
		p.Logger = slog.New(slog.NewTextHandler(log, nil))
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- s.Run(ctx, p) }()
		time.Sleep(2*time.Hour + time.Minute)
		synctest.Wait()
		if s.contents.generation < 3 || !strings.Contains(log.String(), "may not survive a power cut") || strings.Contains(log.String(), "rotation of a store failed") {
			t.Errorf("generation %d, logged %s", s.contents.generation, log)
		}
		s.mu.Lock()
		s.sync = works
		s.mu.Unlock()
		stop()
		if err := <-ended; err != context.Canceled {
			t.Error(err)
		}
		if _, err := s.Rotate(p); err != nil {
			t.Errorf("the disk confirms it now: %v", err)
		}
	})
}

// TestFailuresLeaveNothingBehind makes creating and opening a store fail for every reason: no file is left.
func TestFailuresLeaveNothingBehind(t *testing.T) {
	cheap(t)
	notDurable := func(ctx context.Context, path string) error {
		s, err := claimStore(path)
		if err != nil {
			return err
		}
		s.contents = contents{identity: testIdentity(t, "alice"), known: new(trust.KnownPeers)}
		s.sync = failingSync
		err = s.create(ctx, passphrase)
		s.lock.abandon()
		return err
	}
	create := func(secret Secret) func(context.Context, string) error {
		return func(ctx context.Context, path string) error {
			_, err := Create(ctx, path, secret, testIdentity(t, "alice"))
			return err
		}
	}
	open := func(ctx context.Context, path string) error {
		_, err := Open(ctx, path, passphrase)
		return err
	}
	for name, fail := range map[string]func(context.Context, string) error{
		"weak":        create(Passphrase([]byte("weak"))),
		"no service":  create(KMS(nil, "x")),
		"not durable": notDurable,
		"open":        open,
		"replica":     func(ctx context.Context, path string) error { _, err := OpenReplica(ctx, path, passphrase); return err },
	} {
		dir := t.TempDir()
		if err := fail(t.Context(), filepath.Join(dir, "store")); err == nil || errors.Is(err, ErrNotDurable) {
			t.Errorf("%s: %v", name, err)
		}
		if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
			t.Errorf("%s: left %v, %v", name, left, err)
		}
		if err := fail(t.Context(), filepath.Join(dir, "missing", "store")); err == nil {
			t.Errorf("%s in no folder: no error", name)
		}
	}
	foreign := filepath.Join(t.TempDir(), "README.md")
	if err := os.WriteFile(foreign, []byte("# hello"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, fail := range map[string]func(context.Context, string) error{"open": open, "create": create(passphrase)} {
		err := fail(t.Context(), foreign)
		if left, _ := os.ReadDir(filepath.Dir(foreign)); err == nil || len(left) != 1 {
			t.Errorf("%s of another file: %v, left %v", name, err, left)
		}
	}
}

// TestCreatorsThatFailDoNotLetTwoIn lets many creators fail at one path. Of those that could succeed exactly
// one does.
func TestCreatorsThatFailDoNotLetTwoIn(t *testing.T) {
	cheap(t)
	for range 4 {
		path := filepath.Join(t.TempDir(), "store")
		made := make(chan *Store)
		const creators = 16
		for i := range creators {
			secret := passphrase
			if i%2 == 0 {
				secret = Passphrase([]byte("weak"))
			}
			id := testIdentity(t, "alice")
			go func() {
				s, _ := Create(t.Context(), path, secret, id)
				made <- s
			}()
		}
		var there []*Store
		for range creators {
			if s := <-made; s != nil {
				there = append(there, s)
			}
		}
		if len(there) > 1 {
			t.Fatalf("%d stores were made at one path", len(there))
		}
		for _, s := range there {
			if err := s.Renew(); err != nil {
				t.Error(err)
			}
			if _, err := Open(t.Context(), path, passphrase); !errors.Is(err, ErrInUse) {
				t.Errorf("a second writer: %v", err)
			}
			s.Close()
		}
	}
}

// TestALockThatIsGoneIsNone opens a lock file that a failed creator removes before it is locked: the lock does
// not count.
func TestALockThatIsGoneIsNone(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store")
	first, err := lockStore(path)
	if err != nil {
		t.Fatal(err)
	}
	second, made, err := openLock(path + ".lock")
	if err != nil || made {
		t.Fatal(made, err)
	}
	defer second.Close()
	if err := lockOpened(path, second); !errors.Is(err, ErrInUse) {
		t.Errorf("the first still holds it: %v", err)
	}
	first.abandon()
	if err := lockOpened(path, second); err != errLockGone {
		t.Errorf("a lock without a name is held: %v", err)
	}
	third, err := lockStore(path)
	if err != nil {
		t.Fatal(err)
	}
	third.release()
}
