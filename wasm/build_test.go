//go:build !js

package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/hopseal/hopseal/internal/label"
	"github.com/hopseal/hopseal/internal/wasmbuild"
	"github.com/hopseal/hopseal/wasm/internal/core"
)

// maxBrotli is what core.wasm may take on its way to a browser, in bytes.
const maxBrotli = 1_000_000

// forbidden must not reach the browser: each costs hundreds of kilobytes, or does
// there what the page does.
var forbidden = []string{
	"net", "log", "net/http", "crypto/hpke", "crypto/tls", "crypto/x509", "encoding/json", "log/slog", "regexp",
	"google.golang.org/protobuf", "github.com/tink-crypto/tink-go", "github.com/coder/websocket",
	"github.com/vmihailenco/msgpack",
}

func TestTheBrowserBuildStaysSmallInImports(t *testing.T) {
	cmd := exec.CommandContext(t.Context(), "go", "list", "-deps", ".")
	cmd.Env = append(os.Environ(), "GOOS=js", "GOARCH=wasm", "GOFLAGS=-tags="+wasmbuild.Tag)
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	deps := strings.Fields(string(out))
	if !slices.Contains(deps, "github.com/hopseal/hopseal/envelope") {
		t.Fatalf("the list of imports looks wrong: %q", deps)
	}
	for _, dep := range deps {
		for _, f := range forbidden {
			if dep == f || strings.HasPrefix(dep, f+"/") && strings.Contains(f, ".") {
				t.Errorf("%s reaches the browser build", dep)
			}
		}
	}
}

func TestTheCommandSaysWhatItBuilt(t *testing.T) {
	r := buildPackage(t)
	out, err := exec.CommandContext(t.Context(), "go", "run", "./build").CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	t.Logf("%s", out)
	m := regexp.MustCompile(`raw (\d+), gzip \d+ bytes\s+sha256 +([0-9a-f]+)`).FindSubmatch(out)
	if m == nil || string(m[1]) != strconv.Itoa(r.Size) || string(m[2]) != r.SHA256 {
		t.Fatalf("the command does not report %+v", r)
	}
}

// brotliSize is a script that says how many bytes a file takes at the best quality.
const brotliSize = `
	const { constants: c, brotliCompressSync } = require("zlib");
	const file = require("fs").readFileSync(process.argv[1]);
	const params = { [c.BROTLI_PARAM_QUALITY]: 11, [c.BROTLI_PARAM_LGWIN]: 24, [c.BROTLI_PARAM_SIZE_HINT]: file.length };
	console.log(brotliCompressSync(file, { params }).length);`

// TestTheBrowserBuildStaysSmallInBytes compresses with Node, so that no Go program has a
// library for brotli among its dependencies.
func TestTheBrowserBuildStaysSmallInBytes(t *testing.T) {
	if testing.Short() {
		t.Skip("compresses for several seconds")
	}
	r := buildPackage(t)
	out := strings.TrimSpace(string(run(t, node(t, "-e", brotliSize, filepath.Join(r.Dir, wasmbuild.CoreFile)))))
	t.Logf("core.wasm takes %s bytes of brotli", out)
	if n, err := strconv.Atoi(out); err != nil || n < 100_000 || n > maxBrotli {
		t.Errorf("core.wasm takes %s bytes of brotli, %d at most", out, maxBrotli)
	}
}

// TestThePackageListsItsFiles holds package.json and wasm/npm against each other.
func TestThePackageListsItsFiles(t *testing.T) {
	r := buildPackage(t)
	entries, err := os.ReadDir(r.Dir)
	if err != nil {
		t.Fatal(err)
	}
	list := readFile(t, filepath.Join(r.Dir, "package.json"))
	for _, e := range entries {
		switch filepath.Ext(e.Name()) {
		case ".js", ".ts", ".wasm":
			if !strings.Contains(list, `    "`+e.Name()+`"`) {
				t.Errorf("package.json does not publish %s", e.Name())
			}
		}
	}
	if !strings.Contains(list, `"version": "`+core.Version+`"`) {
		t.Errorf("package.json is not of version %s", core.Version)
	}
}

// TestTheStoresUseTheirLabels holds the labels that JavaScript writes against the list of all.
func TestTheStoresUseTheirLabels(t *testing.T) {
	r := buildPackage(t)
	for file, label := range map[string]label.Label{"record.js": label.PageStore, "sessionstore.js": label.PageSessions} {
		want := strings.TrimSuffix(string(label), "\x00") + `\0"`
		if !strings.Contains(readFile(t, filepath.Join(r.Dir, file)), `const aadLabel = "`+want) {
			t.Errorf("%s does not use %q", file, want)
		}
	}
}

// buildPackage makes wasm/npm complete.
func buildPackage(t testing.TB) wasmbuild.Report {
	t.Helper()
	r, err := wasmbuild.Build(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func readFile(t testing.TB, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
