// Package vectortest finds and reads the test vectors of others. They come as Go
// modules, which are read as files and never imported, and with Go itself.
package vectortest

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// The modules.
const (
	Wycheproof = "github.com/c2sp/wycheproof@v0.0.0-20260902155932-3fa63dd0344a"
	Ed25519    = "filippo.io/mostly-harmless/ed25519vectors@v0.0.0-20210322192420-30a2d7243a94"
)

// required is set by .ci/run, where vectors that are not to be had are a failure.
const required = "HOPSEAL_OUTSIDE_VECTORS"

func missing(t testing.TB, format string, args ...any) {
	t.Helper()
	if os.Getenv(required) == "require" {
		t.Fatalf(format, args...)
	}
	t.Skipf(format, args...)
}

// ModuleDir downloads a module unless it is in the cache, and returns its folder.
func ModuleDir(t testing.TB, module string) string {
	t.Helper()
	cmd := exec.Command("go", "mod", "download", "-json", module)
	cmd.Dir = t.TempDir() // outside of this module, which does not require it
	out, err := cmd.Output()
	var m struct{ Dir, Error string }
	if err := errors.Join(err, json.Unmarshal(out, &m)); err != nil || m.Dir == "" {
		missing(t, "%s is not to be had: %v %s", module, err, m.Error)
	}
	return m.Dir
}

// Read reads a file of JSON.
func Read(t testing.TB, v any, path ...string) {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(path...))
	if err == nil {
		err = json.Unmarshal(b, v)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// HPKEFiles returns the files of HPKE's vectors with post-quantum KEMs that come
// with Go.
func HPKEFiles(t testing.TB) []string {
	t.Helper()
	out, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		t.Fatal(err)
	}
	goroot := strings.TrimSpace(string(out))
	files, _ := filepath.Glob(filepath.Join(goroot, "src/crypto/hpke/testdata/*pq*.json"))
	if len(files) == 0 { // as in some distributions
		missing(t, "%s of %s is without its testdata", goroot, runtime.Version())
	}
	return files
}

// Hex reads itself from hex.
type Hex []byte

func (h *Hex) UnmarshalText(text []byte) (err error) {
	*h, err = hex.DecodeString(string(text))
	return err
}

// A Group is a group of Wycheproof's cases, all of one kind.
type Group struct {
	Type                     string
	KeySize, IVSize, TagSize int // in bits
	PublicKey                struct{ PK Hex }
	DER                      Hex             `json:"publicKeyDer"`
	PEM                      string          `json:"publicKeyPem"`
	JWK                      json.RawMessage `json:"publicKeyJwk"`
	Tests                    []Case
}

// A Case has the fields of its kind.
type Case struct {
	TcID, Comment, Result   any
	Flags                   []string
	Msg, Sig                Hex // Ed25519
	Public, Private, Shared Hex // X25519
	Seed, EK, DK, C, K, M   Hex // ML-KEM
	Key, IV, AAD, CT, Tag   Hex // AES-GCM, HMAC
	IKM, Salt, Info, OKM    Hex // HKDF
	Size                    int // of OKM, in bytes
}

// Valid reports whether the case is to be accepted.
func (c Case) Valid() bool { return c.Result == "valid" }

// Groups returns the groups of one of Wycheproof's files, and fails where it has
// fewer cases than known.
func Groups(t testing.TB, name string, atLeast int) []Group {
	t.Helper()
	var f struct{ TestGroups []Group }
	Read(t, &f, ModuleDir(t, Wycheproof), "testvectors_v1", name)
	n := 0
	for _, g := range f.TestGroups {
		n += len(g.Tests)
	}
	if n < atLeast {
		t.Fatalf("%s: %d cases, want %d", name, n, atLeast)
	}
	return f.TestGroups
}
