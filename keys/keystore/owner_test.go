//go:build linux

package keystore

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/hopseal/hopseal/internal/atomicfile"
	"github.com/hopseal/hopseal/keys"
)

// The tests of this file run their own binary again as another user.
const (
	ownerStore = "HOPSEAL_TEST_OWNER_STORE" // makes the binary renew this store
	ownerUser  = "HOPSEAL_TEST_OWNER_USER"  // as this user and group, or as root without one of these rights:
	noChown    = "no CAP_CHOWN"             // to give files away
	noFowner   = "no CAP_FOWNER"            // to change the mode of others' files
)

func init() {
	path := os.Getenv(ownerStore)
	if path == "" {
		return
	}
	if err := becomeOwner(os.Getenv(ownerUser)); err != nil {
		fmt.Println("not that user:", err)
		os.Exit(1)
	}
	err := renewOnce(path)
	if errors.Is(err, ErrOwner) {
		fmt.Println("ErrOwner")
	}
	fmt.Println("done:", err)
	os.Exit(0)
}

func becomeOwner(user string) error {
	var uid int
	if _, err := fmt.Sscan(user, &uid); err == nil {
		return errors.Join(syscall.Setgroups(nil), syscall.Setgid(uid), syscall.Setuid(uid))
	}
	runtime.LockOSThread() // rights are a thread's
	head := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var rights [2]unix.CapUserData
	if err := unix.Capget(&head, &rights[0]); err != nil {
		return err
	}
	without := map[string]uint32{noChown: 1 << unix.CAP_CHOWN, noFowner: 1 << unix.CAP_FOWNER}[user]
	rights[0].Effective &^= without
	rights[0].Permitted &^= without
	return unix.Capset(&head, &rights[0])
}

func renewOnce(path string) error {
	s, err := Open(context.Background(), path, passphrase)
	if err != nil {
		return err
	}
	return errors.Join(s.Renew(), s.Close())
}

// renewAs renews a store as another user, and returns what that said.
func renewAs(t *testing.T, user, path string) string {
	t.Helper()
	out, err := writer(t, "", ownerStore+"="+path, ownerUser+"="+user).Output()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return string(out)
}

const service, group = 54321, 54322 // nobody's

// serviceStore makes a store, as a service does that is not root.
func serviceStore(t *testing.T) (path string) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("NOT TESTED: a store of another user's needs root to make it")
	}
	cheap(t)
	s, path := newStore(t)
	s.Close()
	for dir := filepath.Dir(path); dir != os.TempDir() && dir != "/"; dir = filepath.Dir(dir) {
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(give(path, service, group), give(filepath.Dir(path), service, service), os.Remove(path+".lock")); err != nil {
		t.Fatal(err)
	}
	return path
}

func give(path string, uid, gid int) error { return os.Chown(path, uid, gid) }

func ownerOf(t *testing.T, path string) string {
	t.Helper()
	info, err := os.Lstat(path)
	if err != nil {
		t.Fatal(err)
	}
	s := info.Sys().(*syscall.Stat_t)
	return fmt.Sprintf("%d:%d %v", s.Uid, s.Gid, info.Mode())
}

// TestRootLeavesAStoreToItsService takes every step of a service's store as root, as
// `sudo hopseal key rotate` does. The store and its lock belong to the service then.
func TestRootLeavesAStoreToItsService(t *testing.T) {
	path := serviceStore(t)
	want := ownerOf(t, path)
	s, err := Open(t.Context(), path, passphrase)
	if err != nil {
		t.Fatal(err)
	}
	set, _ := keys.GenerateSharedKeyset()
	if err := s.PutSharedKeyset("orders", set); err != nil {
		t.Fatal(err)
	}
	for _, use := range []string{"signing", "shared"} {
		for _, step := range []string{"add", "promote", "disable", "destroy", "renew", "admit"} {
			if err := takeStep(s, use+" "+step); err != nil {
				t.Fatalf("%s %s: %v", use, step, err)
			}
			if now := ownerOf(t, path); now != want {
				t.Fatalf("%s %s: the store belongs to %s, want %s", use, step, now, want)
			}
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if lock := ownerOf(t, path+".lock"); lock != want {
		t.Errorf("the lock belongs to %s, want %s", lock, want)
	}
	if said := renewAs(t, fmt.Sprint(service), path); !strings.Contains(said, "done: <nil>") {
		t.Errorf("the service: %s", said)
	}
}

// TestALockOfRootsIsGivenBack has the lock left by a version that did not.
func TestALockOfRootsIsGivenBack(t *testing.T) {
	path := serviceStore(t)
	if err := os.WriteFile(path+".lock", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if said := renewAs(t, fmt.Sprint(service), path); !strings.Contains(said, "give the lock and its folder the owner of the store") {
		t.Errorf("the service: %s", said)
	}
	if err := renewOnce(path); err != nil {
		t.Fatal(err)
	}
	if said := renewAs(t, fmt.Sprint(service), path); !strings.Contains(said, "done: <nil>") {
		t.Errorf("the service: %s", said)
	}
}

// TestAnOwnerThatCannotBeKeptIsAnError has root without the right to give files away, as in many
// containers: nothing is written.
func TestAnOwnerThatCannotBeKeptIsAnError(t *testing.T) {
	path := serviceStore(t)
	before, _ := os.ReadFile(path)
	if said := renewAs(t, noChown, path); !strings.Contains(said, "ErrOwner") || !strings.Contains(said, fmt.Sprintf("sudo -u '#%d'", service)) {
		t.Errorf("it said %s", said)
	}
	after, _ := os.ReadFile(path)
	if left, _ := os.ReadDir(filepath.Dir(path)); string(before) != string(after) || len(left) != 1 {
		t.Errorf("the store changed: %v; there is %v", string(before) != string(after), left)
	}
}

// TestAModeThatIsRightIsLeftAlone has root without the right to change the mode of others' files, as
// in some containers.
func TestAModeThatIsRightIsLeftAlone(t *testing.T) {
	path := serviceStore(t)
	want := ownerOf(t, path)
	if said := renewAs(t, noFowner, path); !strings.Contains(said, "done: <nil>") {
		t.Errorf("it said %s", said)
	}
	if now := ownerOf(t, path); now != want {
		t.Errorf("the store belongs to %s, want %s", now, want)
	}
}

// TestAGroupThatDoesNotMatter has a store of a group that its owner is not in. The mode gives the
// group nothing, so that the service goes on; where it gives something, that is an error.
func TestAGroupThatDoesNotMatter(t *testing.T) {
	path := serviceStore(t)
	if said := renewAs(t, fmt.Sprint(service), path); !strings.Contains(said, "done: <nil>") {
		t.Errorf("the service: %s", said)
	}
	if now, want := ownerOf(t, path), fmt.Sprintf("%d:%d -rw-------", service, service); now != want {
		t.Errorf("it belongs to %s, want %s", now, want)
	}
	shared := filepath.Join(t.TempDir(), "shared")
	err := errors.Join(os.WriteFile(shared, nil, 0o600), os.Chmod(shared, 0o640), give(shared, 0, group))
	f, errTemp := os.CreateTemp(t.TempDir(), "")
	info, errStat := os.Stat(shared)
	if err := errors.Join(err, errTemp, errStat); err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := atomicfile.Keep(f, info, 0o777); err != nil {
		t.Fatal(err)
	}
	if now, want := ownerOf(t, f.Name()), ownerOf(t, shared); now != want {
		t.Errorf("it belongs to %s, want %s", now, want)
	}
}
