package keystore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hopseal/hopseal/keys"
	"github.com/hopseal/hopseal/keys/trust"

	"github.com/hopseal/hopseal/internal/keyfile"
)

var passphrase = Passphrase([]byte(testPassphrase))

const testPassphrase = "upriver lagoon cassette mulberry trombone"

// cheap makes Argon2 quick for a test that does not measure it.
func cheap(t testing.TB) {
	cost := argonCost
	argonCost = keyfile.Argon{Passes: 1, KiB: 64, Lanes: 1}
	t.Cleanup(func() { argonCost = cost })
}

func newStore(t testing.TB) (*Store, string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "alice.store")
	s, err := Create(context.Background(), path, passphrase, testIdentity(t, "alice"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s, path
}

// stored puts a keyset into a new store, where AES256_GCM keys seal.
func stored(t testing.TB, set *keys.SharedKeyset) *Store {
	t.Helper()
	cheap(t)
	s, _ := newStore(t)
	if err := s.PutSharedKeyset("orders", set); err != nil {
		t.Fatal(err)
	}
	return s
}

func reopen(t testing.TB, s *Store) *Store {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	again, err := Open(context.Background(), s.path, passphrase)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { again.Close() })
	return again
}

// With the real costs, once.
func TestStoreComesBack(t *testing.T) {
	s, path := newStore(t)
	shared, _ := keys.GenerateSharedKeyset()
	if err := s.PutSharedKeyset("orders", shared); err != nil {
		t.Fatal(err)
	}
	if err := s.KnownPeers().Admit(trust.Expected{Room: "blue"}, testIdentity(t, "bob").Public()); err != nil {
		t.Fatal(err)
	}
	id := s.Identity()
	again := reopen(t, s)
	set, ok := again.SharedKeyset("orders")
	if !ok || set.Primary().ID() != shared.Primary().ID() || !again.Identity().Public().Equal(id.Public()) ||
		len(again.KnownPeers().Admitted(trust.Expected{Room: "blue"})) != 1 {
		t.Error("came back otherwise")
	}
	if info, _ := os.Stat(path); info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v", info.Mode())
	}
	file, _ := os.ReadFile(path)
	for name, secret := range map[string][]byte{"root": rootSeed(id), "name": []byte("alice"), "public key": id.Signer().PublicKey()} {
		if bytes.Contains(file, secret) {
			t.Errorf("the %s stands in the file in clear", name)
		}
	}
	left, _ := filepath.Glob(filepath.Join(filepath.Dir(path), "*"))
	hidden, _ := filepath.Glob(filepath.Join(filepath.Dir(path), ".*.*"))
	if len(left) != 2 || len(hidden) != 0 { // the store and its lock
		t.Errorf("left behind: %v %v", left, hidden)
	}
}

// A20: two writers would make two histories of one store.
func TestA20SecondWriterIsRefused(t *testing.T) {
	cheap(t)
	s, path := newStore(t)
	for name, open := range map[string]func() (*Store, error){
		"open":   func() (*Store, error) { return Open(t.Context(), path, passphrase) },
		"create": func() (*Store, error) { return Create(t.Context(), path, passphrase, testIdentity(t, "eve")) },
	} {
		_, err := open()
		if !errors.Is(err, ErrInUse) || !strings.Contains(err.Error(), fmt.Sprint("process ", os.Getpid())) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := OpenReplica(t.Context(), path, passphrase); err != nil {
		t.Errorf("a reader: %v", err)
	}
	reopen(t, s)
	if _, err := s.Add(KeyRef{Use: keys.UseSigning}); !errors.Is(err, ErrClosed) {
		t.Errorf("a closed store: %v", err)
	}
}

func TestCreateRefusesAnExistingFile(t *testing.T) {
	cheap(t)
	s, path := newStore(t)
	s.Close()
	before, _ := os.ReadFile(path)
	if _, err := Create(t.Context(), path, passphrase, testIdentity(t, "eve")); !errors.Is(err, fs.ErrExist) {
		t.Error(err)
	}
	if after, _ := os.ReadFile(path); !bytes.Equal(before, after) {
		t.Error("the store changed")
	}
}

func TestWeakPassphraseIsRefused(t *testing.T) {
	for _, weak := range []string{"", "password", "Tr0ub4dour&3", "qwertyuiopasdfghjkl", strings.Repeat("a", 200)} {
		path := filepath.Join(t.TempDir(), "s")
		_, err := Create(t.Context(), path, Passphrase([]byte(weak)), testIdentity(t, "alice"))
		if _, ok := errors.AsType[*WeakPassphraseError](err); !ok || !strings.Contains(err.Error(), "random words") ||
			weak != "" && strings.Contains(err.Error(), weak) {
			t.Errorf("%q: %v", weak, err)
		}
		if _, err := os.Stat(path); err == nil {
			t.Errorf("%q: a store was made", weak)
		}
	}
}

func TestStoreErrorsSayWhatToDo(t *testing.T) {
	cheap(t)
	s, path := newStore(t)
	s.Close()
	file, _ := os.ReadFile(path)
	write := func(b []byte, mode fs.FileMode) {
		t.Helper()
		if err := errors.Join(os.WriteFile(path, b, 0o600), os.Chmod(path, mode)); err != nil {
			t.Fatal(err)
		}
	}
	expect := func(name string, secret Secret, want error, advice string) {
		t.Helper()
		_, err := Open(t.Context(), path, secret)
		if !errors.Is(err, want) || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), advice) ||
			strings.Contains(err.Error(), "\n") || strings.Contains(err.Error(), "staple") {
			t.Errorf("%s: %v", name, err)
		}
	}
	expect("wrong passphrase", Passphrase([]byte("wrong")), ErrPassphrase, "try again")
	write(file, 0o644)
	expect("readable by all", passphrase, ErrPermissions, "chmod 600")
	changed := bytes.Clone(file)
	changed[len(changed)-1] ^= 1
	write(changed, 0o600)
	expect("last bit changed", passphrase, ErrDamaged, "backup")
	write(nil, 0o600)
	expect("empty", passphrase, ErrDamaged, "backup")
	write([]byte("-----BEGIN PRIVATE KEY-----"), 0o600)
	expect("foreign", passphrase, ErrDamaged, "backup")
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	expect("missing", passphrase, fs.ErrNotExist, "")
}

func TestStoreTampering(t *testing.T) {
	cheap(t)
	s, path := newStore(t)
	s.Close()
	file, _ := os.ReadFile(path)
	refused := func(b []byte, what string, at int) {
		t.Helper()
		_, _, _, err := openFile(t.Context(), path, b, passphrase)
		if !errors.Is(err, ErrDamaged) && !errors.Is(err, ErrPassphrase) && !errors.Is(err, keys.ErrVersion) {
			t.Fatalf("%s %d: %v", what, at, err)
		}
	}
	for at := range file {
		if at > 150 && at%37 != 0 { // the whole head, and samples of the body
			continue
		}
		changed := bytes.Clone(file)
		changed[at] ^= 1 << (at % 8)
		refused(changed, "byte", at)
		refused(file[:at], "prefix", at)
	}
	refused(append(bytes.Clone(file), 0), "extension", 1)
}

// A failed write leaves disk and memory as they were: nothing takes effect that
// would be gone after a restart.
func TestFailedWriteChangesNothing(t *testing.T) {
	cheap(t)
	s, path := newStore(t)
	shared, _ := keys.GenerateSharedKeyset()
	if err := s.PutSharedKeyset("orders", shared); err != nil {
		t.Fatal(err)
	}
	file, _ := os.ReadFile(path)
	before, known := s.Identity().Public(), s.KnownPeers().Bytes()
	s.path = filepath.Join(path, "below", "a file") // where nothing can be written
	_, add := s.Add(KeyRef{Use: keys.UseSigning})
	_, addShared := s.Add(KeyRef{Use: keys.UseShared, Keyset: "orders"})
	for name, err := range map[string]error{
		"add": add, "add shared": addShared, "renew": s.Renew(), "revoke": s.Revoke(), "put": s.PutSharedKeyset("x", shared),
		"admit": s.KnownPeers().Admit(trust.Expected{Room: "r"}, testIdentity(t, "bob").Public()),
	} {
		if err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if now, _ := os.ReadFile(path); !bytes.Equal(now, file) {
		t.Error("the file changed")
	}
	if !s.Identity().Public().Equal(before) || len(shared.Keys()) != 1 || len(s.SharedKeysets()) != 1 || !bytes.Equal(s.KnownPeers().Bytes(), known) {
		t.Error("what was not stored took effect")
	}
}

func stages(infos []keys.KeyInfo, use keys.Use) string {
	var out []string
	for _, k := range infos {
		if k.Use == use {
			out = append(out, k.Stage.String())
		}
	}
	return strings.Join(out, " ")
}

// Every step of every kind of key, each across a restart; what is not allowed
// changes nothing.
func TestLifeCycle(t *testing.T) {
	cheap(t)
	for _, use := range []keys.Use{keys.UseSigning, keys.UseSealing, keys.UseShared} {
		t.Run(use.String(), func(t *testing.T) {
			s, _ := newStore(t)
			shared, _ := keys.GenerateSharedKeyset()
			if err := s.PutSharedKeyset("orders", shared); err != nil {
				t.Fatal(err)
			}
			ref := KeyRef{Use: use, Keyset: "orders"}
			expect := func(want string) {
				t.Helper()
				for range 2 {
					if got := stages(s.keys(ref), use); got != want {
						t.Fatalf("%s, want %s", got, want)
					}
					s = reopen(t, s)
				}
			}
			at := func(id uint32) KeyRef { return KeyRef{use, "orders", id} }
			first := s.keys(ref)[0].TinkID
			expect("primary")
			for name, err := range map[string]error{
				"promote the primary": s.Promote(at(first)), "disable the primary": s.Disable(at(first)),
				"destroy the primary": s.Destroy(at(first)), "promote nothing": s.Promote(at(first ^ 1)),
			} {
				if err == nil {
					t.Errorf("%s: no error", name)
				}
			}
			second, err := s.Add(ref)
			if err != nil {
				t.Fatal(err)
			}
			expect("primary pending")
			if err := s.Destroy(at(second)); !errors.Is(err, ErrStage) {
				t.Error(err)
			}
			if err := s.Promote(at(second)); err != nil {
				t.Fatal(err)
			}
			expect("retiring primary")
			if err := s.Promote(at(first)); !errors.Is(err, ErrStage) {
				t.Errorf("back to an old key: %v", err)
			}
			if err := s.Disable(at(first)); err != nil {
				t.Fatal(err)
			}
			expect("archived primary")
			if err := s.Destroy(at(first)); err != nil {
				t.Fatal(err)
			}
			expect("primary")
			third, err := s.Add(ref)
			if err != nil {
				t.Fatal(err)
			}
			if err := s.Disable(at(third)); err != nil {
				t.Fatal(err)
			}
			expect("primary archived") // a key that was made and not wanted
		})
	}
}

// Peers keep trusting through rotations, and what was signed before still
// verifies, in its time.
func TestRotationKeepsTrust(t *testing.T) {
	cheap(t)
	synctest.Test(t, func(t *testing.T) {
		s, _ := newStore(t)
		id := s.Identity()
		known := new(trust.KnownPeers)
		if err := known.Admit(trust.Expected{Room: "r"}, id.Public()); err != nil {
			t.Fatal(err)
		}
		old := id.Public().VerifyingKey()
		made := time.Now()
		for range 20 {
			time.Sleep(40 * time.Hour)
			added, err := s.Add(KeyRef{Use: keys.UseSigning})
			if err != nil {
				t.Fatal(err)
			}
			pending := id.Public()
			if err := s.Promote(KeyRef{Use: keys.UseSigning, TinkID: added}); err != nil {
				t.Fatal(err)
			}
			if _, listed := pending.VerifyingKeyByID(id.Public().VerifyingKey().ID()); !listed {
				t.Error("a key was used before peers could know it")
			}
			for _, k := range id.Keys() {
				if k.Use == keys.UseSigning && k.Stage == keys.StageRetiring {
					if err := errors.Join(s.Disable(KeyRef{Use: keys.UseSigning, TinkID: k.TinkID}), s.Destroy(KeyRef{Use: keys.UseSigning, TinkID: k.TinkID})); err != nil {
						t.Fatal(err)
					}
				}
			}
			if err := known.Verify(t.Context(), trust.Expected{Room: "r"}, id.Public()); err != nil {
				t.Fatal(err)
			}
		}
		if n := len(id.Public().Bytes()); n > keys.MaxPublicSize {
			t.Errorf("the statement has grown to %d bytes", n)
		}
		if len(id.Public().VerifyingKeys()) != 20 { // more than are listed in any case
			t.Errorf("%d signing keys are listed", len(id.Public().VerifyingKeys()))
		}
		if _, listed := id.Public().VerifyingKeyByID(old.ID()); listed {
			t.Error("a key that retired more than 30 days ago is still listed, of 21")
		}
		recent := id.Public().VerifyingKeys()[1]
		if recent.ValidAt(time.Now().Add(time.Hour)) || !recent.ValidAt(time.Now().Add(-time.Hour)) || recent.ValidAt(made) {
			t.Error("a retired key is valid at other times than its own")
		}
	})
}

func TestRevocationIsForGood(t *testing.T) {
	cheap(t)
	s, _ := newStore(t)
	if err := s.Revoke(); err != nil {
		t.Fatal(err)
	}
	s = reopen(t, s)
	if !s.Identity().Public().Revoked() {
		t.Fatal("not revoked")
	}
	_, add := s.Add(KeyRef{Use: keys.UseSigning})
	_, sign := s.Identity().Signer().Sign([]byte("m"))
	for name, err := range map[string]error{"renew": s.Renew(), "revoke": s.Revoke(), "add": add, "sign": sign} {
		if !errors.Is(err, keys.ErrRevoked) {
			t.Errorf("%s: %v", name, err)
		}
	}
	shared, _ := keys.GenerateSharedKeyset()
	if err := s.PutSharedKeyset("orders", shared); err != nil {
		t.Fatal(err)
	}
	shared.Primary().Seal(nil, nil, nil)
	if _, err := s.Rotate(RotationPolicy{Messages: 1}); err != nil || len(shared.Keys()) < 2 {
		t.Errorf("shared keys stop with a revoked identity: %v", err)
	}
}

// A policy walks keys through their whole life, each step at its time, and renews
// the statement meanwhile. Sealing keys live longer, see TestSealingKeysLiveAsLongAsStatements.
func TestPolicyWalksTheLifeCycle(t *testing.T) {
	cheap(t)
	synctest.Test(t, func(t *testing.T) {
		s, _ := newStore(t)
		shared, _ := keys.GenerateSharedKeyset()
		if err := s.PutSharedKeyset("orders", shared); err != nil {
			t.Fatal(err)
		}
		policy := RotationPolicy{Age: 10 * time.Hour, Lead: time.Hour, Overlap: 2 * time.Hour, Keep: 3 * time.Hour}
		start := time.Now()
		want := []struct {
			at     time.Duration
			stages string
		}{
			{0, "primary"}, {9 * time.Hour, "primary pending"}, {10 * time.Hour, "retiring primary"},
			{12 * time.Hour, "archived primary"}, {15 * time.Hour, "primary"}, {19 * time.Hour, "primary pending"},
		}
		for i, w := range want {
			next, err := s.Rotate(policy)
			if err != nil {
				t.Fatal(err)
			}
			for _, use := range []keys.Use{keys.UseSigning, keys.UseShared} {
				if got := stages(s.keys(KeyRef{Use: use, Keyset: "orders"}), use); got != w.stages {
					t.Fatalf("after %v the %v keys are %s, want %s", w.at, use, got, w.stages)
				}
			}
			if i+1 < len(want) {
				if until := next.Sub(start).Round(time.Minute); until != want[i+1].at {
					t.Fatalf("after %v the next step is said to be due after %v, want %v", w.at, until, want[i+1].at)
				}
				time.Sleep(time.Until(next))
			}
		}
		time.Sleep(keys.MaxLifetime)
		if _, err := s.Rotate(policy); err != nil {
			t.Fatal(err)
		}
		if left := time.Until(s.Identity().Public().Expires()); left < keys.MaxLifetime/2 {
			t.Errorf("the statement lives for %v more", left)
		}
	})
}

func TestPolicyCountsMessagesAndBytes(t *testing.T) {
	cheap(t)
	for name, policy := range map[string]RotationPolicy{"messages": {Messages: 10}, "bytes": {Bytes: 100}} {
		s, _ := newStore(t)
		shared, _ := keys.GenerateSharedKeyset()
		if err := s.PutSharedKeyset("orders", shared); err != nil {
			t.Fatal(err)
		}
		first := shared.Primary().ID()
		for i := range 10 {
			if _, err := s.Rotate(policy); err != nil {
				t.Fatal(err)
			}
			if shared.Primary().ID() != first {
				t.Fatalf("%s: rotated after %d", name, i)
			}
			shared.Primary().Seal(nil, make([]byte, 10), nil)
		}
		if _, err := s.Rotate(policy); err != nil {
			t.Fatal(err)
		}
		if shared.Primary().ID() == first {
			t.Errorf("%s: not rotated", name)
		}
	}
}

// Run rotates without anybody asking, and ends with its context.
func TestRun(t *testing.T) {
	cheap(t)
	synctest.Test(t, func(t *testing.T) {
		s, _ := newStore(t)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- s.Run(ctx, RotationPolicy{Age: time.Hour, Overlap: time.Hour, Keep: time.Hour}) }()
		first := s.Identity().Public().VerifyingKey().ID()
		time.Sleep(90 * time.Minute)
		synctest.Wait()
		if s.Identity().Public().VerifyingKey().ID() == first {
			t.Error("not rotated")
		}
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	})
}

// A replica sees what the writer did, keeps what it handed out live, and refuses
// an older file.
func TestReplicaFollows(t *testing.T) {
	cheap(t)
	s, path := newStore(t)
	shared, _ := keys.GenerateSharedKeyset()
	if err := s.PutSharedKeyset("orders", shared); err != nil {
		t.Fatal(err)
	}
	r, err := OpenReplica(t.Context(), path, passphrase)
	if err != nil {
		t.Fatal(err)
	}
	old, _ := os.ReadFile(path)
	id := r.Identity()
	set, _ := r.SharedKeyset("orders")
	refresh := func(want bool) {
		t.Helper()
		if changed, err := r.Refresh(t.Context()); err != nil || changed != want {
			t.Fatalf("changed %v, %v", changed, err)
		}
	}
	refresh(false)
	for _, ref := range []KeyRef{{Use: keys.UseSigning}, {Use: keys.UseShared, Keyset: "orders"}} {
		if ref.TinkID, err = s.Add(ref); err != nil {
			t.Fatal(err)
		}
		if err := s.Promote(ref); err != nil {
			t.Fatal(err)
		}
	}
	refresh(true)
	if id.Public().VerifyingKey().ID() != s.Identity().Public().VerifyingKey().ID() || set.Primary().ID() != shared.Primary().ID() {
		t.Error("what was handed out before does not follow")
	}
	if err := os.WriteFile(path, old, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Refresh(t.Context()); !errors.Is(err, ErrRolledBack) {
		t.Errorf("an older file: %v", err)
	}
	if id.Public().VerifyingKey().ID() != s.Identity().Public().VerifyingKey().ID() {
		t.Error("the older file took effect")
	}
}

// Users of the live objects race with every kind of change.
func TestConcurrentUseOfALiveStore(t *testing.T) {
	cheap(t)
	s, _ := newStore(t)
	shared, _ := keys.GenerateSharedKeyset()
	if err := s.PutSharedKeyset("orders", shared); err != nil {
		t.Fatal(err)
	}
	stop := make(chan struct{})
	var users sync.WaitGroup
	for range 4 {
		users.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				k := shared.Primary()
				if again, ok := shared.Key(k.ID()); !ok || !again.VerifyMAC([]byte("m"), k.MAC(nil, []byte("m"))) {
					t.Error("the primary is not in its keyset")
				}
				sig, err := s.Identity().Signer().Sign([]byte("m"))
				if err != nil || len(sig) != 64 {
					t.Error(err)
				}
				_ = s.KnownPeers().Admitted(trust.Expected{Room: "r"})
			}
		})
	}
	bob := testIdentity(t, "bob").Public()
	for range 5 {
		for _, ref := range []KeyRef{{Use: keys.UseSigning}, {Use: keys.UseSealing}, {Use: keys.UseShared, Keyset: "orders"}} {
			id, err := s.Add(ref)
			if err != nil {
				t.Fatal(err)
			}
			ref.TinkID = id
			if err := s.Promote(ref); err != nil {
				t.Fatal(err)
			}
		}
		if err := s.KnownPeers().Admit(trust.Expected{Room: "r"}, bob); err != nil {
			t.Fatal(err)
		}
	}
	close(stop)
	users.Wait()
}

func BenchmarkPrimary(b *testing.B) {
	shared, _ := keys.GenerateSharedKeyset()
	for b.Loop() {
		_ = shared.Primary()
	}
}

func FuzzParseStoreContents(f *testing.F) {
	cheap(f)
	s, _ := newStore(f)
	shared, _ := keys.GenerateSharedKeyset()
	for name, set := range map[string]*keys.SharedKeyset{"orders": shared, "payments": aesKeyset(f)} {
		put := s.PutSharedKeyset(name, set)
		b, err := s.freeze().append(nil)
		if err = errors.Join(put, err); err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		got, err := parseFrozen(b)
		if err != nil {
			return
		}
		again, err := got.append(nil)
		if err != nil || !bytes.Equal(again, b) {
			t.Fatalf("%x is read, and written again as %x (%v)", b, again, err)
		}
	})
}
