//go:build unix

package keystore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"
	"testing"
)

// TestA20SecondWriterByEveryPath has a second writer come by a symbolic link, by one to the
// folder, by a hard link, and when the lock file is gone, before and after the first has written.
func TestA20SecondWriterByEveryPath(t *testing.T) {
	cheap(t)
	ways := map[string]func(path, other string) (string, error){
		"symbolic link": func(path, other string) (string, error) { return other, os.Symlink(path, other) },
		"hard link":     func(path, other string) (string, error) { return other, os.Link(path, other) },
		"folder": func(path, other string) (string, error) {
			return filepath.Join(other, filepath.Base(path)), os.Symlink(filepath.Dir(path), other)
		},
		"no lock": func(path, _ string) (string, error) { return path, os.Remove(path + ".lock") },
		"moved":   func(path, other string) (string, error) { return other, os.Rename(path, other) },
	}
	for name, way := range ways {
		for _, written := range []bool{false, true} {
			s, path := newStore(t)
			other, err := way(path, filepath.Join(t.TempDir(), "other"))
			if err != nil {
				t.Fatal(err)
			}
			if written {
				err := s.Renew()
				if (name == "moved") != errors.Is(err, ErrReplaced) {
					t.Errorf("%s: %v", name, err)
				}
			}
			if second, err := Open(t.Context(), other, passphrase); !errors.Is(err, ErrInUse) {
				t.Errorf("%s, written %v: %v, %v", name, written, second, err)
			}
		}
	}
}

// TestRotationThroughALink changes the file, and the link stays one.
func TestRotationThroughALink(t *testing.T) {
	cheap(t)
	s, path := newStore(t)
	s.Close()
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(path, link); err != nil {
		t.Fatal(err)
	}
	s, err := Open(t.Context(), link, passphrase)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	before, _ := os.ReadFile(path)
	if err := s.Renew(); err != nil {
		t.Fatal(err)
	}
	after, _ := os.ReadFile(path)
	if info, err := os.Lstat(link); err != nil || info.Mode()&os.ModeSymlink == 0 || bytes.Equal(before, after) {
		t.Errorf("the link is %v, %v; the file has changed: %v", info.Mode(), err, !bytes.Equal(before, after))
	}
}

// TestALockTakesNoOtherFile has something else where the lock would be, and a store with two
// names, another file in the store's place.
func TestALockTakesNoOtherFile(t *testing.T) {
	cheap(t)
	for name, link := range map[string]func(string, string) error{"symbolic": os.Symlink, "hard": os.Link} {
		s, path := newStore(t)
		s.Close()
		precious := filepath.Join(t.TempDir(), "precious")
		err := errors.Join(os.WriteFile(precious, []byte("precious"), 0o600), os.Remove(path+".lock"), link(precious, path+".lock"))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Open(t.Context(), path, passphrase); err == nil {
			t.Errorf("%s: no error", name)
		}
		if b, _ := os.ReadFile(precious); string(b) != "precious" {
			t.Errorf("%s: it holds %q", name, b)
		}
	}
	s, path := newStore(t)
	s.Close()
	if err := os.Link(path, path+"2"); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(t.Context(), path, passphrase); err == nil {
		t.Error("a store with two names was opened")
	}
}

// TestAStoreThatWasReplacedIsNotOverwritten puts a backup in the store's place, or removes it.
func TestAStoreThatWasReplacedIsNotOverwritten(t *testing.T) {
	cheap(t)
	s, path := newStore(t)
	if err := os.Rename(copyStore(t, path), path); err != nil {
		t.Fatal(err)
	}
	if err := s.Renew(); !errors.Is(err, ErrReplaced) {
		t.Error(err)
	}
	s, path = newStore(t)
	if err := errors.Join(os.Remove(path), s.Renew(), s.Renew()); err != nil {
		t.Errorf("a store that was removed is written again: %v", err)
	}
}

// TestCreateBehindALink makes a store at a path that goes up behind a link: it is where the system
// looks for it.
func TestCreateBehindALink(t *testing.T) {
	cheap(t)
	dir := t.TempDir()
	link := filepath.Join(dir, "link")
	if err := errors.Join(os.MkdirAll(filepath.Join(dir, "other", "deep"), 0o700), os.Symlink(filepath.Join(dir, "other", "deep"), link)); err != nil {
		t.Fatal(err)
	}
	path := link + "/../store"
	s, err := Create(t.Context(), path, passphrase, testIdentity(t, "alice"))
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if s, err = Open(t.Context(), path, passphrase); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(s.Renew(), s.Close()); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(filepath.Join(dir, "other", "store")); err != nil {
		t.Error(err)
	}
}

// TestAFullDiskKeepsNobodyFromAStore opens a store where nothing can be written, not even who has the
// lock: what the store holds is of use, and it is held.
func TestAFullDiskKeepsNobodyFromAStore(t *testing.T) {
	cheap(t)
	s, path := newStore(t)
	if err := errors.Join(s.Close(), os.Remove(path+".lock")); err != nil {
		t.Fatal(err)
	}
	for _, size := range []string{"0", "3", "1000000"} { // nothing, a part of the lock's text, all
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), fullStore+"="+path, writerLimit+"="+size)
		out, err := cmd.CombinedOutput()
		if want := fmt.Sprintf("held true, renewed %v\n", size == "1000000"); err != nil || string(out) != want {
			t.Errorf("%s bytes fit: %s%v, want %s", size, out, err, want)
		}
	}
}

const fullStore = "HOPSEAL_TEST_FULL_STORE" // makes the binary open this store where files end at a size

func init() {
	if path := os.Getenv(fullStore); path != "" {
		if err := openOnFull(path); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		os.Exit(0)
	}
}

func openOnFull(path string) error {
	var limit syscall.Rlimit
	_, err := fmt.Sscan(os.Getenv(writerLimit), &limit.Cur)
	limit.Max = limit.Cur
	signal.Ignore(syscall.SIGXFSZ)
	if err := errors.Join(err, syscall.Setrlimit(syscall.RLIMIT_FSIZE, &limit)); err != nil {
		return err
	}
	s, err := Open(context.Background(), path, passphrase)
	if err != nil {
		return err
	}
	_, second := Open(context.Background(), path, passphrase)
	renewed := s.Renew()
	fmt.Printf("held %v, renewed %v\n", errors.Is(second, ErrInUse), renewed == nil)
	return s.Close()
}
