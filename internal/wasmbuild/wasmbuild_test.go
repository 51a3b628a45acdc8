//go:build !js

package wasmbuild

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// moduleRoot is the root of this checkout.
func moduleRoot(t *testing.T) string {
	t.Helper()
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	return root
}

func build(t *testing.T, dir string) Report {
	t.Helper()
	r, err := Build(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// TestA45TheBuildIsReproducible builds this checkout, and a copy of it that is
// somewhere else with an empty build cache.
func TestA45TheBuildIsReproducible(t *testing.T) {
	if testing.Short() {
		t.Skip("compiles the standard library for the browser")
	}
	here := build(t, t.TempDir())

	elsewhere := filepath.Join(t.TempDir(), "another", "place")
	copyModule(t, elsewhere)
	t.Chdir(elsewhere)
	t.Setenv("GOCACHE", t.TempDir())
	t.Setenv("GOFLAGS", "-tags=whatever")
	there := build(t, "")
	if !there.Built || there.Dir != filepath.Join(elsewhere, "wasm", "npm") {
		t.Fatalf("built %+v", there)
	}
	if here.SHA256 != there.SHA256 || here.BuildID != there.BuildID {
		t.Errorf("here  %+v\nthere %+v", here, there)
	}
	for _, name := range []string{CoreFile, RuntimeFile} {
		if !bytes.Equal(read(t, here.Dir, name), read(t, there.Dir, name)) {
			t.Errorf("%s differs", name)
		}
	}
	t.Logf("core.wasm sha256 %s", here.SHA256)
}

func TestBuildSkipsWhatIsUpToDateAndRepairsWhatIsNot(t *testing.T) {
	dir := t.TempDir()
	first := build(t, dir)
	if !first.Built {
		t.Fatal("nothing was built")
	}
	start := time.Now()
	second := build(t, dir)
	if second.Built {
		t.Error("built again")
	}
	t.Logf("second run: %v", time.Since(start))
	second.Built = true
	if first != second {
		t.Errorf("reports %+v, then %+v", first, second)
	}

	core := filepath.Join(dir, CoreFile)
	if err := os.WriteFile(core, read(t, dir, CoreFile)[:1000], 0o644); err != nil {
		t.Fatal(err)
	}
	if r := build(t, dir); !r.Built || r.SHA256 != first.SHA256 {
		t.Errorf("a damaged core.wasm stays: %+v", r)
	}
	runtime := filepath.Join(dir, RuntimeFile)
	source := strings.Replace(string(read(t, dir, RuntimeFile)), "inputs: sha256 ", "inputs: sha256 0", 1)
	if err := os.WriteFile(runtime, []byte(source), 0o644); err != nil {
		t.Fatal(err)
	}
	if r := build(t, dir); !r.Built {
		t.Error("a foreign runtime.js stays")
	}
}

func TestADirectoryElsewhereGetsTheWholePackage(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new", "folder")
	build(t, dir)
	for _, name := range []string{"index.js", "index.d.ts", "package.json", CoreFile, RuntimeFile} {
		if len(read(t, dir, name)) == 0 {
			t.Errorf("%s is empty", name)
		}
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), ".") || e.IsDir() {
			t.Errorf("%s is left", e.Name())
		}
	}
}

func TestBothFilesCarryTheBuildID(t *testing.T) {
	dir := t.TempDir()
	r := build(t, dir)
	if !bytes.HasSuffix(read(t, dir, CoreFile), []byte(buildSection+r.BuildID)) {
		t.Error("core.wasm does not end in the section with the build id")
	}
	if !bytes.Contains(read(t, dir, RuntimeFile), []byte(`export const buildId = "`+r.BuildID+`";`)) {
		t.Error("runtime.js does not export the build id")
	}
}

func TestAnUnknownWasmExecIsAnError(t *testing.T) {
	for _, source := range []string{"", "globalThis.Go = class {}", "globalThis.Go = class { a() { fs.writeSync(); fs.writeSync() } }"} {
		if _, err := runtimeSource(input{goVersion: "go9", wasmExec: []byte(source)}, Report{}); err == nil {
			t.Errorf("%q is taken", source)
		}
	}
}

func TestOutsideOfTheModuleTheErrorSaysSo(t *testing.T) {
	t.Chdir(t.TempDir())
	if _, err := Build(t.Context(), ""); err == nil || !strings.Contains(err.Error(), "go list") {
		t.Errorf("got %v", err)
	}
}

func TestMeasure(t *testing.T) {
	path := filepath.Join(t.TempDir(), "zeros")
	if err := os.WriteFile(path, make([]byte, 100000), 0o644); err != nil {
		t.Fatal(err)
	}
	s, err := Measure(path)
	if err != nil || s.Raw != 100000 || s.Gzip < 20 || s.Gzip > 500 {
		t.Errorf("got %v, %v", s, err)
	}
}

func read(t *testing.T, dir, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// copyModule copies what a build reads: the Go files that are not tests, and the
// written files of the package.
func copyModule(t *testing.T, to string) {
	t.Helper()
	root := moduleRoot(t)
	err := filepath.WalkDir(root, func(path string, e fs.DirEntry, err error) error {
		name := filepath.Base(path)
		if err != nil || e.IsDir() {
			if e != nil && e.IsDir() && (name == "node_modules" || strings.HasPrefix(name, ".")) {
				return fs.SkipDir
			}
			return err
		}
		rel, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		written := filepath.Dir(rel) == filepath.Join("wasm", "npm") && name != CoreFile && name != RuntimeFile
		isGo := strings.HasSuffix(name, ".go") && !strings.HasSuffix(name, "_test.go")
		if !written && !isGo && name != "go.mod" && name != "go.sum" {
			return nil
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if err := os.MkdirAll(filepath.Dir(filepath.Join(to, rel)), 0o755); err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(to, rel), b, 0o644)
	})
	if err != nil {
		t.Fatal(err)
	}
}
