//go:build unix

package transport_test

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/hopseal/hopseal/internal/fronts"
)

// TestTroubleshootingQuotesTheCode holds the texts in docs/troubleshooting.md against the
// literals of transport, e2e, keys and envelope and of what is below them: users search for
// what they see. (That none of the last three's is missing is checked in internal/repo.)
func TestTroubleshootingQuotesTheCode(t *testing.T) {
	doc, err := os.ReadFile("../docs/troubleshooting.md")
	if err != nil {
		t.Fatal(err)
	}
	var code strings.Builder
	for _, root := range []string{".", "../e2e", "../keys", "../envelope", "../internal/filelock"} {
		err := filepath.WalkDir(root, func(path string, _ os.DirEntry, err error) error {
			if err != nil || filepath.Ext(path) != ".go" || strings.HasSuffix(path, "_test.go") {
				return err
			}
			b, err := os.ReadFile(path)
			code.Write(b)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	quoted := regexp.MustCompile("(?m)^\\| `([^-][^`]*)` \\|").FindAllStringSubmatch(string(doc), -1)
	if len(quoted) < 40 {
		t.Fatalf("only %d texts were found", len(quoted))
	}
	for _, q := range quoted {
		if !strings.Contains(code.String(), q[1]) {
			t.Errorf("no error has the text %q", q[1])
		}
	}
}

// shellBlock returns the commands of docs/troubleshooting.md that contain a word.
func shellBlock(t *testing.T, word string) string {
	t.Helper()
	doc, err := os.ReadFile("../docs/troubleshooting.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, block := range regexp.MustCompile("(?s)```sh\n(.*?)```").FindAllStringSubmatch(string(doc), -1) {
		if strings.Contains(block[1], word) {
			return block[1]
		}
	}
	t.Fatalf("docs/troubleshooting.md has no commands with %q", word)
	return ""
}

// TestOpensslRecipes runs the commands of docs/troubleshooting.md against a server here.
func TestOpensslRecipes(t *testing.T) {
	fronts.Need(t, "openssl")
	server, _ := wellKept(t, nil)
	commands := strings.ReplaceAll(shellBlock(t, "s_client"), "app.example.com:443", server.Listener.Addr().String())
	out := shell(t, t.TempDir(), commands)
	for _, want := range []string{"-----BEGIN CERTIFICATE-----", "subject=CN = service", "issuer=CN = root", "notAfter=", "DNS:service.example"} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in:\n%s", want, out)
		}
	}
	dir := t.TempDir()
	cert := server.TLS.Certificates[0].Certificate[0]
	if err := os.WriteFile(filepath.Join(dir, "cert.pem"), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert}), 0o600); err != nil {
		t.Fatal(err)
	}
	parsed, err := x509.ParseCertificate(cert)
	if err != nil {
		t.Fatal(err)
	}
	pin := sha256.Sum256(parsed.RawSubjectPublicKeyInfo)
	if out := shell(t, dir, shellBlock(t, "dgst")); !strings.Contains(out, hex.EncodeToString(pin[:])) {
		t.Errorf("the pin %x is not in %s", pin, out)
	}
}

func shell(t *testing.T, dir, commands string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "sh", "-c", commands)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v:\n%s", err, out)
	}
	return string(out)
}
