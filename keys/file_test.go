package keys

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hopseal/hopseal/internal/strict"
)

var passphrase = []byte("correct horse battery staple")

// cheap makes Argon2 quick for a test that does not measure it.
func cheap(t *testing.T) {
	cost := argonCost
	argonCost = argonParams{1, 64, 1}
	t.Cleanup(func() { argonCost = cost })
}

func savedIdentity(t *testing.T) (id *Identity, path string, file []byte) {
	t.Helper()
	id, path = newIdentity(t, "alice"), filepath.Join(t.TempDir(), "alice.key")
	if err := SaveIdentity(path, id, passphrase); err != nil {
		t.Fatal(err)
	}
	file, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return id, path, file
}

// With the real costs, once.
func TestIdentityFile(t *testing.T) {
	id, path, file := savedIdentity(t)
	got, err := LoadIdentity(path, passphrase)
	if err != nil || !got.Public().Equal(id.Public()) {
		t.Fatalf("came back otherwise: %v", err)
	}
	if info, _ := os.Stat(path); info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v", info.Mode())
	}
	for name, secret := range map[string][]byte{"root": id.root.Seed(), "name": []byte("alice"), "public key": id.signer.PublicKey()} {
		if bytes.Contains(file, secret) {
			t.Errorf("the %s stands in the file in clear", name)
		}
	}
	if left, _ := filepath.Glob(filepath.Join(filepath.Dir(path), "*")); len(left) != 1 {
		t.Errorf("left behind: %v", left)
	}
}

func TestSharedKeysetAndKnownPeersFiles(t *testing.T) {
	cheap(t)
	dir := t.TempDir()
	shared, _ := GenerateSharedKeyset()
	known := new(KnownPeers)
	_ = known.Admit(Expected{Room: "blue"}, newIdentity(t, "bob").Public())
	sharedPath, knownPath := filepath.Join(dir, "shared"), filepath.Join(dir, "known")
	if err := errors.Join(SaveSharedKeyset(sharedPath, shared, passphrase), SaveKnownPeers(knownPath, known, passphrase)); err != nil {
		t.Fatal(err)
	}
	if got, err := LoadSharedKeyset(sharedPath, passphrase); err != nil || got.Primary().ID() != shared.Primary().ID() {
		t.Error(err)
	}
	if got, err := LoadKnownPeers(knownPath, passphrase); err != nil || !bytes.Equal(got.Bytes(), known.Bytes()) {
		t.Error(err)
	}
	// One kind of file is not another.
	if _, err := LoadIdentity(sharedPath, passphrase); !errors.Is(err, ErrDamaged) {
		t.Error(err)
	}
	if _, err := LoadKnownPeers(sharedPath, passphrase); !errors.Is(err, ErrDamaged) {
		t.Error(err)
	}
}

func TestFileErrorsSayWhatToDo(t *testing.T) {
	cheap(t)
	_, path, file := savedIdentity(t)
	write := func(b []byte, mode fs.FileMode) {
		t.Helper()
		if err := errors.Join(os.WriteFile(path, b, 0o600), os.Chmod(path, mode)); err != nil {
			t.Fatal(err)
		}
	}
	expect := func(name string, want error, advice string) {
		t.Helper()
		_, err := LoadIdentity(path, passphrase)
		if !errors.Is(err, want) || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), advice) ||
			strings.Contains(err.Error(), "\n") || strings.Contains(err.Error(), string(passphrase)) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := LoadIdentity(path, []byte("wrong")); !errors.Is(err, ErrPassphrase) {
		t.Error(err)
	}
	write(file, 0o644)
	expect("readable by all", ErrPermissions, "chmod 600")
	changed := bytes.Clone(file)
	changed[len(changed)-1] ^= 1
	write(changed, 0o600)
	expect("last bit changed", ErrDamaged, "backup")
	write(nil, 0o600)
	expect("empty", ErrDamaged, "backup")
	write([]byte("-----BEGIN PRIVATE KEY-----"), 0o600)
	expect("foreign", ErrDamaged, "backup")
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	expect("missing", fs.ErrNotExist, "")
	if err := SaveIdentity(path, newIdentity(t, "x"), nil); err == nil {
		t.Error("an empty passphrase is accepted")
	}
}

func TestFileTampering(t *testing.T) {
	cheap(t)
	_, path, file := savedIdentity(t)
	refused := func(b []byte, what string, at int) {
		t.Helper()
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := LoadIdentity(path, passphrase); !errors.Is(err, ErrDamaged) && !errors.Is(err, ErrPassphrase) {
			t.Fatalf("%s %d: %v", what, at, err)
		}
	}
	for at := range file {
		if at > 100 && at%37 != 0 { // the whole head, and samples of the body
			continue
		}
		changed := bytes.Clone(file)
		changed[at] ^= 1 << (at % 8)
		refused(changed, "byte", at)
		refused(file[:at], "prefix", at)
	}
	refused(append(bytes.Clone(file), 0), "extension", 1)
}

// A file that asks for more memory than the limit is refused before any is taken.
func TestFileCostsAreBounded(t *testing.T) {
	for _, p := range []argonParams{
		{0, 64, 1}, {17, 64, 1}, {1, 7, 1}, {1, 256<<10 + 1, 1}, {1, 64, 0}, {1, 64, 9}, {1, 1 << 40, 1}, {1, 256, 17},
	} {
		b := append(appendFileHead(nil, fileIdentity, p, make([]byte, saltSize)), make([]byte, checkSize+16)...)
		if _, salt, _ := parseFileHead(b, fileIdentity); salt != nil {
			t.Errorf("%+v is accepted", p)
		}
	}
	at := append(appendFileHead(nil, fileIdentity, argonLimits, make([]byte, saltSize)), make([]byte, checkSize+16)...)
	if _, salt, _ := parseFileHead(at, fileIdentity); salt == nil {
		t.Error("the limit itself is refused")
	}
}

// A failed write leaves the file as it was.
func TestSaveFailureKeepsTheOldFile(t *testing.T) {
	cheap(t)
	_, path, file := savedIdentity(t)
	blocked := filepath.Join(path, "below", "a file")
	if err := SaveIdentity(blocked, newIdentity(t, "x"), passphrase); err == nil {
		t.Error("written below a file")
	}
	if now, err := os.ReadFile(path); err != nil || !bytes.Equal(now, file) {
		t.Error("the old file changed")
	}
}

func FuzzFileHead(f *testing.F) {
	f.Add(append(appendFileHead(nil, fileIdentity, argonCost, make([]byte, saltSize)), make([]byte, checkSize+16)...))
	f.Fuzz(func(t *testing.T, b []byte) {
		p, salt, size := parseFileHead(b, fileIdentity)
		if salt == nil {
			return
		}
		if again := appendFileHead(nil, fileIdentity, p, salt); !bytes.Equal(again, b[:size]) || !p.allowed() {
			t.Fatalf("%x is read, and written again as %x", b[:size], again)
		}
		r := strict.NewReader(b[:size])
		if r.Array(7); r.Failed() {
			t.Fatal("a head that is no array")
		}
	})
}
