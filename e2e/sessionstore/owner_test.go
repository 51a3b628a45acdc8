//go:build unix

package sessionstore

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// TestRootLeavesSessionsToTheirService has root save into a service's directory.
func TestRootLeavesSessionsToTheirService(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("NOT TESTED: a directory of another user's needs root to make it")
	}
	const service = 54321 // nobody's
	path := filepath.Join(t.TempDir(), "sessions")
	if err := errors.Join(os.Mkdir(path, 0o700), os.Chown(path, service, service)); err != nil {
		t.Fatal(err)
	}
	over := openDir(t, path)
	kv := over.(*store).kv
	for version := range uint64(3) {
		if ok, err := kv.Put(t.Context(), "k", []byte("v"), version, time.Time{}); !ok || err != nil {
			t.Fatal(ok, err)
		}
	}
	entries, err := os.ReadDir(path)
	if err != nil || len(entries) != 2 { // the value and a lock
		t.Fatal(entries, err)
	}
	for _, e := range entries {
		info, err := e.Info()
		if err != nil {
			t.Fatal(err)
		}
		if uid := info.Sys().(*syscall.Stat_t).Uid; uid != service || info.Mode() != 0o600 {
			t.Errorf("%s belongs to %d, mode %v", e.Name(), uid, info.Mode())
		}
	}
}

// TestRootIsNotHadByALink has the service, or who has broken into it, put links and pipes to
// root's files into its directory: root gives none of them away, writes into none, and does not
// wait. Only what is a lock is taken for one.
func TestRootIsNotHadByALink(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("NOT TESTED: a directory of another user's needs root to make it")
	}
	const service = 54321 // nobody's
	for name, put := range map[string]func(precious, name string) error{
		"symbolic link": os.Symlink,
		"hard link":     os.Link,
		"moved":         os.Rename,
		"pipe":          func(_, name string) error { return syscall.Mkfifo(name, 0o600) },
		"empty, linked": func(precious, name string) error {
			return errors.Join(os.Truncate(precious, 0), os.Link(precious, name))
		},
	} {
		for _, at := range []string{"lock", "value"} {
			path := filepath.Join(t.TempDir(), "sessions")
			precious := filepath.Join(filepath.Dir(path), "precious")
			two := appendSlots(nil, versioned{[]byte("v"), 2}) // a value that the next one fits beside
			err := errors.Join(os.Mkdir(path, 0o700), os.Chown(path, service, service), os.WriteFile(precious, two, 0o600))
			kv := openDir(t, path).(*store).kv
			if _, errPut := kv.Put(t.Context(), "k", []byte("v"), 0, time.Time{}); err != nil || errPut != nil {
				t.Fatal(err, errPut)
			}
			locks, _ := filepath.Glob(filepath.Join(path, lockPrefix+"*"))
			place := map[string]string{"lock": locks[0], "value": filepath.Join(path, "k")}[at]
			info, _ := os.Lstat(precious)
			if err := errors.Join(os.Remove(place), put(precious, place)); err != nil {
				t.Fatal(err)
			}
			before, _ := os.ReadFile(precious)
			done, err := kv.Put(t.Context(), "k", []byte("w"), 2, time.Time{})
			if at == "lock" && (done || err == nil) {
				t.Errorf("%s for the %s: saved, %v", name, at, err)
			}
			now, errNow := os.Lstat(place)
			if errNow == nil && os.SameFile(info, now) && now.Sys().(*syscall.Stat_t).Uid != 0 {
				t.Errorf("%s for the %s: it was given away", name, at)
			}
			if after, _ := os.ReadFile(precious); name == "symbolic link" && !bytes.Equal(before, after) {
				t.Errorf("%s for the %s: it was written to", name, at)
			}
		}
	}
}
