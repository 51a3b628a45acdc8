//go:build !js

package transport_test

import (
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
)

// goCommand runs the go command for the given platform.
func goCommand(t *testing.T, platform []string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", args...)
	cmd.Env = append(os.Environ(), platform...)
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go %s: %v", strings.Join(args, " "), err)
	}
	return string(out)
}

var wasm = []string{"GOOS=js", "GOARCH=wasm"}

// TestWebPagesCarryNoServer keeps out of wasm what would make it megabytes larger.
func TestWebPagesCarryNoServer(t *testing.T) {
	forbidden := map[string]bool{"net/http": true, "crypto/tls": true, "crypto/x509": true,
		"encoding/json": true, "log/slog": true, "github.com/coder/websocket": true}
	for _, dep := range strings.Fields(goCommand(t, wasm, "list", "-deps", ".", "./redial", "./relay")) {
		if forbidden[dep] {
			t.Errorf("%s reaches the js build", dep)
		}
	}
	for _, dep := range strings.Fields(goCommand(t, wasm, "list", "-deps", "./relay/frame")) {
		if forbidden[dep] || dep == "net" || dep == "net/url" || dep == "context" {
			t.Errorf("%s reaches the js build of the frames", dep)
		}
	}
}

// TestTheSameNamesEverywhere holds the two builds against each other: a name that
// only one has would break programs that compile for both.
func TestTheSameNamesEverywhere(t *testing.T) {
	native := goCommand(t, nil, "doc", "-short", ".")
	page := goCommand(t, wasm, "doc", "-short", ".")
	if native = forms.Replace(withoutNative(native)); native != forms.Replace(page) {
		t.Errorf("natively:\n%s\nin a browser:\n%s", native, page)
	}
}

// forms are the differences that have to be: a page has no
// http.Request, and nothing to accept.
var forms = strings.NewReplacer(
	"func Accept(w http.ResponseWriter, r *http.Request, opts *AcceptOptions)", "func Accept",
	"type AcceptOptions struct{}", "type AcceptOptions struct{ ... }",
	"func Accept(_, _ any, _ *AcceptOptions)", "func Accept",
)

// nativeOnly lists names that a page has no use for, because a page accepts nothing,
// and its browser decides how to dial.
var nativeOnly = map[string]bool{"ClientAddr": true, "Caller": true, "Token": true, "Grant": true, "GrantOf": true, "Renew": true,
	"DialEvent": true, "DialTimeouts": true, "ErrPin": true, "TLSOptions": true, "CertificateOf": true}

// withoutNative leaves the names in nativeOnly out of a listing of go doc.
func withoutNative(doc string) string {
	var kept strings.Builder
	for line := range strings.Lines(doc) {
		if name := declared.FindStringSubmatch(line); name == nil || !nativeOnly[name[1]] {
			kept.WriteString(line)
		}
	}
	return kept.String()
}

var declared = regexp.MustCompile(`^\s*(?:func|type|var|const) (\w+)`)
