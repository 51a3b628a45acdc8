//go:build unix

package keystore

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/hopseal/hopseal/keys"
)

// The tests of this file run their own binary again as a writer, and kill it.
const (
	writerStore = "HOPSEAL_TEST_WRITER_STORE" // makes the binary a writer of this store
	writerStep  = "HOPSEAL_TEST_WRITER_STEP"  // takes this step, or rotates without end
	writerPoint = "HOPSEAL_TEST_WRITER_POINT" // and is killed at this point of its write
	writerLimit = "HOPSEAL_TEST_WRITER_LIMIT" // or when the file has grown to this size
	longTests   = "HOPSEAL_LONG_TESTS"        // a thousand kills instead of dozens
)

func init() {
	if path := os.Getenv(writerStore); path != "" {
		if err := beWriter(path); err != nil {
			fmt.Println("error:", err)
		}
		os.Exit(1)
	}
}

// beWriter takes one step and is killed in it, or rotates until it is killed.
func beWriter(path string) error {
	s, err := Open(context.Background(), path, passphrase)
	if err != nil {
		return err
	}
	step, point := os.Getenv(writerStep), os.Getenv(writerPoint)
	if step == "" {
		return rotateWithoutEnd(s)
	}
	s.written = func(at string) {
		if at == point {
			die()
		}
	}
	var limit syscall.Rlimit
	if _, err := fmt.Sscan(os.Getenv(writerLimit), &limit.Cur); err == nil {
		limit.Max = limit.Cur
		if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
			return err
		}
	}
	if step == "serve" {
		return s.Serve(context.Background())
	}
	return errors.Join(takeStep(s, step), errors.New("survived"))
}

func die() {
	syscall.Kill(os.Getpid(), syscall.SIGKILL)
	select {}
}

// rotateWithoutEnd announces what the store holds after every step that has
// returned.
func rotateWithoutEnd(s *Store) error {
	announce := func(err error) error {
		fmt.Printf("%d %s\n", s.contents.generation, held(s))
		return err
	}
	if err := announce(nil); err != nil {
		return err
	}
	for {
		for _, ref := range []KeyRef{{Use: keys.UseSigning}, {Use: keys.UseShared, Keyset: "orders"}} {
			for _, k := range s.keys(ref) {
				ref.TinkID = k.TinkID
				if k.Stage == keys.StagePending || k.Stage == keys.StageRetiring {
					if err := announce(s.Disable(ref)); err != nil {
						return err
					}
				}
				if k.Stage != keys.StagePrimary {
					if err := announce(s.Destroy(ref)); err != nil {
						return err
					}
				}
			}
			id, err := s.Add(ref)
			if err := announce(err); err != nil {
				return err
			}
			ref.TinkID = id
			if err := announce(s.Promote(ref)); err != nil {
				return err
			}
		}
	}
}

func writer(t *testing.T, path string, env ...string) *exec.Cmd {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe)
	cmd.Env = append(append(os.Environ(), writerStore+"="+path), env...)
	return cmd
}

// killed runs a writer that must not survive, and says how it ended.
func killed(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	out, err := cmd.Output()
	if len(out) > 0 || err == nil {
		t.Fatalf("the writer was not killed: %s%v", out, err)
	}
}

// openAfterKill opens the store of a writer that is gone and checks that nothing
// lies about that it left.
func openAfterKill(t *testing.T, path string) *Store {
	t.Helper()
	s, err := Open(t.Context(), path, passphrase)
	if err != nil {
		t.Fatalf("the store does not open: %v", err)
	}
	t.Cleanup(func() { s.Close() })
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil || len(entries) != 2 { // the store and its lock
		t.Fatalf("left behind: %v %v", entries, err)
	}
	return s
}

// A16, A20: whatever step is taken, and wherever in its write the process is
// killed, the store is the one before until the file has its name, and then the one
// after.
func TestA16KillAtEveryPointOfEveryStep(t *testing.T) {
	base := killStore(t)
	before, _ := os.ReadFile(base)
	old := openAfterKill(t, copyStore(t, base))
	points := []struct {
		name string
		done bool // the new store is in place
	}{{"renamed", true}, {"created", false}, {"written", false}, {"synced", false}, {"directory synced", true}}
	for _, step := range lifeSteps {
		for _, use := range []string{"signing", "shared"} {
			some := points
			switch {
			case use == "shared" && step.before == 0 && step.name != "add":
				continue // not about a keyset
			case use == "shared":
				some = points[:2] // the same code writes both
			}
			for _, p := range some {
				name, point, done := use+" "+step.name, p.name, p.done
				t.Run(name+" "+point, func(t *testing.T) {
					t.Parallel()
					path := copyStore(t, base)
					killed(t, writer(t, path, writerStep+"="+name, writerPoint+"="+point))
					after, _ := os.ReadFile(path)
					if done == bytes.Equal(before, after) {
						t.Fatalf("the file changed: %v", !done)
					}
					s := openAfterKill(t, path)
					wanted := old.contents.generation
					if done {
						wanted++
					}
					if s.contents.generation != wanted {
						t.Fatalf("generation %d, want %d", s.contents.generation, wanted)
					}
					if !done {
						if held(s) != held(old) || !s.Identity().Public().Equal(old.Identity().Public()) {
							t.Fatalf("holds %s, want %s", held(s), held(old))
						}
						if err := takeStep(s, name); err != nil {
							t.Fatalf("the step cannot be taken again: %v", err)
						}
					}
				})
			}
		}
	}
}

// The disk fills up, or the process ends, in the middle of a write.
func TestA16KillInTheMiddleOfAWrite(t *testing.T) {
	base := killStore(t)
	before, _ := os.ReadFile(base)
	for _, limit := range []int{1, 31, len(before) / 2, len(before) - 1} {
		t.Run(fmt.Sprint(limit), func(t *testing.T) {
			t.Parallel()
			path := copyStore(t, base)
			cmd := writer(t, path, writerStep+"=signing add", fmt.Sprintf("%s=%d", writerLimit, limit))
			out, err := cmd.Output()
			if bytes.Contains(out, []byte("survived")) && !bytes.Contains(out, []byte("not written")) {
				t.Fatalf("%s %v", out, err)
			}
			if after, _ := os.ReadFile(path); !bytes.Equal(before, after) {
				t.Fatal("the store changed")
			}
			openAfterKill(t, path)
		})
	}
}

// Killed from outside at any moment, again and again on one store: it holds what
// was announced last, or that and the one step that was being taken.
func TestA16KillAtAnyMoment(t *testing.T) {
	kills := 40
	if os.Getenv(longTests) != "" {
		kills = 1000
	}
	path := killStore(t)
	for range kills {
		cmd := writer(t, path)
		stdout, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewReader(stdout)
		last, err := lines.ReadString('\n') // it has opened the store
		if err == nil {
			timer := time.AfterFunc(rand.N(20*time.Millisecond), func() { cmd.Process.Kill() })
			defer timer.Stop()
		} else {
			cmd.Process.Kill()
		}
		rest, _ := io.ReadAll(lines)
		cmd.Wait()
		all := last + string(rest)
		if err != nil || strings.Contains(all, "error") {
			t.Fatalf("the writer failed: %s", all)
		}
		whole := strings.Split(all, "\n") // the last one may have been cut short
		checkAnnounced(t, path, whole[len(whole)-2])
	}
}

func checkAnnounced(t *testing.T, path, announced string) {
	t.Helper()
	var generation uint64
	if _, err := fmt.Sscan(announced, &generation); err != nil {
		t.Fatalf("%q: %v", announced, err)
	}
	_, keys, _ := strings.Cut(announced, " ")
	s := openAfterKill(t, path)
	defer s.Close()
	switch found := s.contents.generation; {
	case found == generation && held(s) != keys:
		t.Fatalf("announced %s, found %s", keys, held(s))
	case found != generation && found != generation+1:
		t.Fatalf("announced generation %d, found %d", generation, found)
	}
	for k := range strings.FieldsSeq(keys) {
		id, isPrimary := strings.CutSuffix(k, ":primary")
		if isPrimary && !strings.Contains(held(s), id+":primary") && !strings.Contains(held(s), id+":retiring") {
			t.Fatalf("lost: %s was primary, found %s", id, held(s))
		}
	}
	if _, err := s.Identity().Signer().Sign([]byte("m")); err != nil {
		t.Fatal(err)
	}
}

// Only a writer's own leftovers go.
func TestLeftoversOfOthersStay(t *testing.T) {
	cheap(t)
	s, path := newStore(t)
	dir := filepath.Dir(path)
	stay := []string{".alice.store.part", ".alice.store.12.par", ".alice.store.1a.part", ".bob.store.12.part", "alice.store.12.part", "alice.store.bak"}
	for _, name := range append(stay, ".alice.store.12.part") {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	reopen(t, s)
	for _, name := range stay {
		if _, err := os.Stat(filepath.Join(dir, name)); err != nil {
			t.Error(err)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, ".alice.store.12.part")); err == nil {
		t.Error("a leftover stays")
	}
}

// killStore makes a store with keys at every stage.
func killStore(t *testing.T) string {
	t.Helper()
	cheap(t)
	s, path := newStore(t)
	set, _ := keys.GenerateSharedKeyset()
	if err := s.PutSharedKeyset("orders", set); err != nil {
		t.Fatal(err)
	}
	for _, use := range []string{"signing", "shared"} {
		for _, verb := range []string{"add", "promote", "disable", "add", "promote", "add"} {
			if err := takeStep(s, use+" "+verb); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return path
}

func copyStore(t *testing.T, from string) string {
	t.Helper()
	b, err := os.ReadFile(from)
	path := filepath.Join(t.TempDir(), "alice.store")
	if err = errors.Join(err, os.WriteFile(path, b, 0o600)); err != nil {
		t.Fatal(err)
	}
	return path
}
