package repo

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/insecurecleartextkeyset"
	"github.com/tink-crypto/tink-go/v2/keyset"
	"github.com/tink-crypto/tink-go/v2/signature"

	"github.com/hopseal/hopseal/keys"
	"github.com/hopseal/hopseal/keys/insecurecleartext"
)

// A detector finds one form of secret keys in a file.
type detector struct {
	what  string
	found *regexp.Regexp
}

// detectors look at text whose quotes are not escaped, and at what its hex and
// base64 stand for.
var detectors = []detector{
	{"a private key in PEM", regexp.MustCompile(`-----BEGIN [A-Z0-9 ]*PRIVATE KEY[A-Z ]*-----(?:\s|\\n|["'+` + "`" + `])*[A-Za-z0-9+/]{24}`)},
	{"a secret Tink keyset in JSON", regexp.MustCompile(`"value"\s*:\s*"[A-Za-z0-9+/]{16,}={0,2}"\s*,\s*"keyMaterialType"\s*:\s*"(?:SYMMETRIC|ASYMMETRIC_PRIVATE)"`)},
	{"a secret Tink keyset in JSON", regexp.MustCompile(`"keyMaterialType"\s*:\s*"(?:SYMMETRIC|ASYMMETRIC_PRIVATE)"\s*,[^{}]*"value"\s*:\s*"[A-Za-z0-9+/]{16}`)},
	{"a secret Tink keyset in binary", regexp.MustCompile(`type\.googleapis\.com/google\.crypto\.tink\.(?:[A-Za-z0-9]*Private|[A-Za-z0-9]*(?:Gcm|Hmac|Cmac|Siv|Eax|Poly1305|Hkdf|Prf|Streaming))Key(?s:.)?\x12`)},
	{"a private JWK", regexp.MustCompile(`"kty"\s*:[^{}]*"[dk]"\s*:\s*"[A-Za-z0-9_-]{16}|"[dk]"\s*:\s*"[A-Za-z0-9_-]{16}[^{}]*"kty"\s*:`)},
	{"a store", regexp.MustCompile(`hopseal key file\x01`)},
	{"a cleartext backup", regexp.MustCompile(`hopseal insecure cleartext backup \d+\n[A-Za-z0-9+/]{16}`)},
	{"an age identity", regexp.MustCompile(`AGE-SECRET-KEY-(?:PQ-)?1[0-9A-Z]{16}`)},
	{"a passphrase", regexp.MustCompile(`HOPSEAL_PASSPHRASE=["']?[A-Za-z0-9]`)},
}

// seeds are 32 bytes in hex or base64: in documents, and in code that is no test,
// they look like keys that somebody will copy.
var (
	seedHex    = regexp.MustCompile(`\b[0-9a-fA-F]{64}\b`)
	seedBase64 = regexp.MustCompile(`(?:^|[^A-Za-z0-9+/_-])[A-Za-z0-9+/_-]{43}=`)
	encoded    = regexp.MustCompile(`[A-Za-z0-9+/_-]{60,}={0,2}`)
)

// noSeeds are the files whose values look like seeds and are not.
var noSeeds = map[string]string{
	"keys/entry.go":            "the points of small order that are refused",
	"docs/protocol.md":         "the same points",
	"docs/protocol-session.md": "the known answers of a handshake with fixed ephemeral keys",
	"docs/inspect.md":          "the id of a shared key, in a vector",
}

// secretsIn returns what in a file looks like secret keys.
func secretsIn(name string, content []byte) []string {
	text := strings.ReplaceAll(string(content), `\"`, `"`)
	all := []string{text}
	for _, run := range encoded.FindAllString(text, -1) {
		all = append(all, decodings(run)...)
	}
	var found []string
	for _, d := range detectors {
		for _, t := range all {
			if at := d.found.FindStringIndex(t); at != nil {
				found = append(found, d.what)
				break
			}
		}
	}
	if seedless(name) && (seedHex.MatchString(text) || seedBase64.MatchString(text)) {
		found = append(found, "what looks like a seed")
	}
	return found
}

func decodings(run string) (out []string) {
	bare := strings.TrimRight(run, "=")
	for _, decode := range []func(string) ([]byte, error){
		hex.DecodeString, base64.RawStdEncoding.DecodeString, base64.RawURLEncoding.DecodeString,
	} {
		if b, err := decode(bare); err == nil {
			out = append(out, string(b))
		}
	}
	return out
}

// seedless reports whether a file has no business with seeds.
func seedless(name string) bool {
	if _, known := noSeeds[name]; known {
		return false
	}
	switch filepath.Ext(name) {
	case ".md", ".html", ".sh", ".yml", ".yaml", ".toml", ".txt", ".env":
		return true
	case ".go", ".js", ".mjs", ".ts":
		return !strings.HasSuffix(name, "_test.go") && !strings.Contains(name, ".test.")
	}
	return false
}

// files lists what is, or may come to be, in the repository.
func files(t *testing.T) []string {
	t.Helper()
	cmd := exec.Command("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard")
	cmd.Dir = root
	if out, err := cmd.Output(); err == nil && len(out) > 0 {
		return strings.Split(strings.TrimSuffix(string(out), "\x00"), "\x00")
	}
	var names []string
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() && (d.Name() == "node_modules" || d.Name() == ".git") {
			return fs.SkipDir
		}
		if name, err := filepath.Rel(root, path); err == nil && d.Type().IsRegular() {
			names = append(names, filepath.ToSlash(name))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

// Vectors are keys that everybody knows; nobody takes them for their own there.
func isVector(name string) bool {
	return strings.HasPrefix(name, "docs/vectors/") || strings.Contains("/"+name, "/testdata/")
}

// A plain string in a repository or a document becomes somebody's key.
func TestNoKeysOutsideTheVectors(t *testing.T) {
	scanned := 0
	for _, name := range files(t) {
		if isVector(name) {
			continue
		}
		b, err := os.ReadFile(filepath.Join(root, name))
		if err != nil {
			continue // removed, and not yet from the index
		}
		scanned++
		for _, what := range secretsIn(name, b) {
			t.Errorf("%s holds %s", name, what)
		}
	}
	if scanned < 50 {
		t.Errorf("only %d files were looked at", scanned)
	}
}

// The detectors find each form when it is planted, and leave public keys alone.
func TestPlantedKeysAreFound(t *testing.T) {
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tinkJSON, tinkBinary := tinkForms(t)
	publicJSON := publicTink(t)
	der, _ := x509.MarshalPKCS8PrivateKey(private)
	pemText := string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
	publicDER, _ := x509.MarshalPKIXPublicKey(public)
	url := base64.RawURLEncoding.EncodeToString
	id, err := keys.GenerateIdentity("planted")
	if err != nil {
		t.Fatal(err)
	}
	cleartext, err := id.MarshalCleartext(insecurecleartext.Token{})
	if err != nil {
		t.Fatal(err)
	}
	for name, secret := range map[string]string{
		"PEM":               pemText,
		"PEM in Go":         fmt.Sprintf("%q", pemText),
		"Tink JSON":         tinkJSON,
		"Tink JSON in Go":   fmt.Sprintf("%q", tinkJSON),
		"Tink JSON, short":  strings.Join(strings.Fields(tinkJSON), ""),
		"Tink binary":       string(tinkBinary),
		"Tink in hex":       fmt.Sprintf("x = %x", tinkBinary),
		"Tink in base64":    base64.StdEncoding.EncodeToString(tinkBinary),
		"Tink in base64url": url(tinkBinary),
		"JWK":               fmt.Sprintf(`{"kty":"OKP","crv":"Ed25519","x":%q,"d":%q}`, url(public), url(private.Seed())),
		"JWK, other order":  fmt.Sprintf(`{"k":%q,"kty":"oct"}`, url(private.Seed())),
		"identity":          hex.EncodeToString(cleartext),
		"backup":            "hopseal insecure cleartext backup 1\n" + base64.StdEncoding.EncodeToString(cleartext),
		"store":             "\x94\xb0hopseal key file" + "\x01",
		"age":               "AGE-SECRET-KEY-" + "1" + strings.Repeat("Q", 58),
		"passphrase":        "export HOPSEAL_PASSPHRASE" + "=hunter2",
	} {
		for _, file := range []string{"docs/a.md", "a/b_test.go", "noext"} {
			if len(secretsIn(file, []byte("before\n"+secret+"\nafter"))) == 0 {
				t.Errorf("%s in %s: not found", name, file)
			}
		}
	}
	for name, seed := range map[string]string{"hex": hex.EncodeToString(private.Seed()), "base64": base64.StdEncoding.EncodeToString(private.Seed())} {
		if len(secretsIn("docs/a.md", []byte("a key: "+seed+"\n"))) == 0 || len(secretsIn("a.go", []byte(`"`+seed+`"`))) == 0 {
			t.Errorf("a seed in %s: not found", name)
		}
	}
	for name, text := range map[string]string{
		"PEM":         string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: publicDER})),
		"Tink":        publicJSON,
		"identity":    base64.StdEncoding.EncodeToString(id.Public().Bytes()),
		"fingerprint": id.Fingerprint().String(),
		"JWK":         fmt.Sprintf(`{"kty":"OKP","crv":"Ed25519","x":%q}`, url(public)),
	} {
		if found := secretsIn("docs/a.md", []byte(text)); len(found) > 0 {
			t.Errorf("public %s: taken for %v", name, found)
		}
	}
}

// tinkForms returns a secret keyset as Tink writes it.
func tinkForms(t *testing.T) (inJSON string, inBinary []byte) {
	t.Helper()
	handle, err := keyset.NewHandle(aead.AES256GCMKeyTemplate())
	if err != nil {
		t.Fatal(err)
	}
	var asJSON, asBinary bytes.Buffer
	if err := insecurecleartextkeyset.Write(handle, keyset.NewJSONWriter(&asJSON)); err != nil {
		t.Fatal(err)
	}
	if err := insecurecleartextkeyset.Write(handle, keyset.NewBinaryWriter(&asBinary)); err != nil {
		t.Fatal(err)
	}
	return asJSON.String(), asBinary.Bytes()
}

func publicTink(t *testing.T) string {
	t.Helper()
	handle, err := keyset.NewHandle(signature.ED25519KeyTemplate())
	if err != nil {
		t.Fatal(err)
	}
	handle, err = handle.Public()
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := handle.WriteWithNoSecrets(keyset.NewJSONWriter(&b)); err != nil {
		t.Fatal(err)
	}
	return b.String()
}
