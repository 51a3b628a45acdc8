//go:build unix

package sessionstore

import (
	"bufio"
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
)

// stores give two handles of one store.
var stores = map[string]func(t *testing.T) (one, two Store){
	"memory": func(*testing.T) (one, two Store) { s := Memory(); return s, s },
	"dir": func(t *testing.T) (one, two Store) {
		path := filepath.Join(t.TempDir(), "sessions")
		return openDir(t, path), openDir(t, path)
	},
}

func openDir(t testing.TB, path string) Store {
	t.Helper()
	s, err := Dir(path)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

const writerDir = "HOPSEAL_TEST_SESSIONS" // a process that is to be killed gets its directory there

func TestMain(m *testing.M) {
	if path := os.Getenv(writerDir); path != "" {
		write(path, os.Getenv(writerDir+"_STEP"))
	}
	os.Exit(m.Run())
}

// write saves versions of one record without end, announces each that is saved, and ends
// as a crash does where it is told to.
func write(path, at string) {
	d := newDir(path)
	d.wrote = func(step string) {
		if step == at {
			syscall.Kill(os.Getpid(), syscall.SIGKILL)
			select {}
		}
	}
	s := Over(d)
	version := uint64(0)
	if r, err := load(s, key(99)); err == nil {
		version = r.Version
	}
	for {
		version++
		err := s.SavePart(context.Background(), partOf(version))
		if err == nil {
			err = s.Save(context.Background(), versionOf(version))
		}
		if err != nil {
			fmt.Println("error", err)
			os.Exit(1)
		}
		fmt.Println("saved", version)
	}
}

// versionOf is a record that is consistent in itself, and by whose ids every id must lead
// to it: the one it has in common with all, the one of its version but for the first, and no
// older one.
func versionOf(version uint64) Record {
	data := strings.Repeat(fmt.Sprint(version, " "), 500+int(version%7)*300)
	r := record(version, data, 99)
	id := key(byte(version))
	id[1] = 1
	if version > 1 {
		r.IDs = append(r.IDs, headed(id))
	}
	r.Expires = time.UnixMilli(4e12)
	for v := version; v > 0 && v+2 > version; v-- {
		r.Parts = append(r.Parts, partOf(v).ID)
	}
	return r
}

// partOf is a part that belongs to the records of a version and the one behind it.
func partOf(version uint64) Part {
	p := Part{Key: key(1), ID: key(byte(version)), Expires: time.UnixMilli(4e12), Data: fmt.Append(nil, "part ", version)}
	p.ID[1], p.ID[2] = 2, byte(version>>8)
	return p
}

// checkDir looks at what a writer that was killed has left.
func checkDir(t *testing.T, path string, announced uint64) {
	t.Helper()
	s := openDir(t, path)
	r, err := load(s, key(99))
	if errors.Is(err, ErrNotStored) && announced == 0 {
		return
	}
	if err != nil {
		t.Fatalf("after version %d: %v", announced, err)
	}
	want := versionOf(r.Version)
	if string(r.Data) != string(want.Data) || r.Version != announced && r.Version != announced+1 {
		t.Fatalf("after version %d: version %d with %.20q…", announced, r.Version, r.Data)
	}
	for v := r.Version; v > 0 && v+2 > r.Version; v-- {
		part := partOf(v)
		if data, err := s.LoadPart(t.Context(), part.Key, part.ID); err != nil || string(data) != string(part.Data) {
			t.Fatalf("part %d of version %d: %q, %v", v, r.Version, data, err)
		}
	}
	again, err := load(s, want.IDs[len(want.IDs)-1].ID)
	if err != nil || again.Version != r.Version {
		t.Fatalf("the id of version %d leads to %d, %v", r.Version, again.Version, err)
	}
	if r.Version < 3 {
		return
	}
	old := versionOf(r.Version - 1)
	if _, err := load(s, old.IDs[1].ID); !errors.Is(err, ErrNotStored) {
		t.Fatalf("an id of version %d leads somewhere: %v", r.Version-1, err)
	}
}

func runWriter(t *testing.T, path, step string, kill time.Duration) (announced uint64) {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe)
	cmd.Env = append(os.Environ(), writerDir+"="+path, writerDir+"_STEP="+step)
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	var timer *time.Timer
	for lines := bufio.NewReader(out); ; {
		line, err := lines.ReadString('\n')
		if err != nil {
			break
		}
		if _, err := fmt.Sscanf(line, "saved %d", &announced); err != nil {
			t.Errorf("the writer says %q", line)
		}
		if timer == nil && kill > 0 {
			timer = time.AfterFunc(kill, func() { cmd.Process.Kill() })
			defer timer.Stop()
		}
	}
	io.Copy(io.Discard, out)
	if err := cmd.Wait(); err == nil {
		t.Error("the writer was not killed")
	}
	return announced
}

// A16: wherever in a write the process is killed, what is there is whole, and is what was
// saved last or the one after.
func TestA16KillAtEveryStepOfASave(t *testing.T) {
	for _, step := range []string{"created", "written", "synced", "renamed", "half a slot written", "slot written", "slot synced"} {
		path := filepath.Join(t.TempDir(), "sessions")
		openDir(t, path)
		for range 7 { // each gets one file further at most: a part, the record, two ids, and so on
			before := stored(t, path)
			checkDir(t, path, max(before, runWriter(t, path, step, 0)))
		}
	}
}

// stored is what there was before a writer that announced nothing.
func stored(t *testing.T, path string) uint64 {
	r, err := load(openDir(t, path), key(99))
	if err != nil {
		return 0
	}
	return r.Version
}

// A16: killed at any moment, again and again.
func TestA16KillAtAnyMomentOfASave(t *testing.T) {
	kills := 4
	if os.Getenv("HOPSEAL_LONG_TESTS") != "" {
		kills = 300
	}
	path := filepath.Join(t.TempDir(), "sessions")
	openDir(t, path)
	last := uint64(0)
	for range kills {
		last = max(last, runWriter(t, path, "", 1+rand.N(50*time.Millisecond)))
		checkDir(t, path, last)
		last = max(last, stored(t, path))
	}
	if last == 0 {
		t.Error("nothing was ever saved")
	}
}

// The directory and its files are for their owner only, and what a killed writer has left
// goes some time later.
func TestDirIsPrivate(t *testing.T) {
	path := filepath.Join(t.TempDir(), "sessions")
	s := openDir(t, path)
	mustSave(t, s, record(1, "x", 10))
	old := filepath.Join(path, tempPrefix+"1")
	young := filepath.Join(path, tempPrefix+"2")
	for _, name := range []string{old, young} {
		if err := os.WriteFile(name, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chtimes(old, time.Time{}, time.Now().Add(-2*time.Hour)); err != nil {
		t.Fatal(err)
	}
	openDir(t, path)
	if _, err := os.Stat(old); err == nil {
		t.Error("a part of a file from long ago stays")
	}
	if _, err := os.Stat(young); err != nil {
		t.Error("a part of a file goes that may be under way")
	}
	entries, err := os.ReadDir(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if info, err := e.Info(); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v, %v", e.Name(), info.Mode(), err)
		}
	}
	if err := os.Chmod(path, 0o750); err != nil {
		t.Fatal(err)
	}
	if _, err := Dir(path); err == nil || !strings.Contains(err.Error(), "chmod 700") {
		t.Errorf("a directory that others can read: %v", err)
	}
}

// A file that is damaged is as good as none, and is swept.
func TestDamagedFiles(t *testing.T) {
	path := filepath.Join(t.TempDir(), "sessions")
	s := openDir(t, path)
	mustSave(t, s, record(1, "x", 10))
	for _, damage := range []string{"", "short", "\x00\x00\x00\x00\x00\x00\x00\x01garbage"} {
		name := filepath.Join(path, sessionName(key(1)))
		if err := os.WriteFile(name, []byte(damage), 0o600); err != nil {
			t.Fatal(err)
		}
		wantNone(t, s, 10)
		if err := s.Sweep(t.Context()); err != nil {
			t.Error(err)
		}
		if _, err := os.Stat(name); err == nil {
			t.Errorf("%q was not swept", damage)
		}
	}
	if err := os.WriteFile(filepath.Join(path, idName(key(10))), []byte("garbage"), 0o600); err != nil {
		t.Fatal(err)
	}
	wantNone(t, s, 10)
	other := record(1, "y", 10)
	other.Key = key(2)
	if err := s.Save(t.Context(), other); err == nil {
		wantRecord(t, s, other, 10)
	} else if err := s.Sweep(t.Context()); err != nil {
		t.Error(err)
	} else {
		mustSave(t, s, other)
		wantRecord(t, s, other, 10)
	}
}

// A disk without room: the error says so, and what was there stays.
func TestNoRoom(t *testing.T) {
	path := filepath.Join(t.TempDir(), "sessions")
	s := openDir(t, path)
	first := record(1, "x", 10)
	mustSave(t, s, first)
	full := errors.New("no space left on device")
	failing := Over(&failingKV{KV: newDir(path), put: full})
	if err := failing.Save(t.Context(), record(2, "y", 10, 11)); !errors.Is(err, full) {
		t.Error(err)
	}
	wantRecord(t, s, first, 10)
	mustSave(t, s, record(2, "y", 10, 11))

	if err := os.RemoveAll(path); err != nil {
		t.Fatal(err)
	}
	if err := s.Save(t.Context(), record(3, "z", 10)); err == nil {
		t.Error("saved into a directory that is gone")
	}
	if _, err := Dir(filepath.Join(os.DevNull, "sessions")); err == nil {
		t.Error("made a directory in a device")
	}
}

type failingKV struct {
	KV
	put error
}

func (f *failingKV) Put(ctx context.Context, key string, value []byte, version uint64, expires time.Time) (bool, error) {
	if strings.HasPrefix(key, sessionPrefix) {
		return false, f.put
	}
	return f.KV.Put(ctx, key, value, version, expires)
}
