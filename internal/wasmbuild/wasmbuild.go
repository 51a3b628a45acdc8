// Package wasmbuild makes the two files of the npm package that are built and not
// written: core.wasm, from package wasm, and runtime.js, from the wasm_exec.js of
// the toolchain that compiled it. The two belong together and carry one build id,
// which the loader compares.
//
// After linking, core.wasm is made slim: a third less to download. Its memory comes in few segments.
// What only tracebacks read of functions goes, so a traceback of Go in a page names none. The table
// of multiples of P-256 goes, because nothing in the core reads it. Code stays as it was linked. A
// build fails where a module, or the Go release, is not one that this package knows.
//
// The build is reproducible: one source and one Go release give the same bytes on
// every machine and in every directory, so that anybody can check what is served.
package wasmbuild

import (
	"bytes"
	"context"
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

const corePackage = "github.com/hopseal/hopseal/wasm"

// Names of the files that are built.
const (
	CoreFile    = "core.wasm"
	RuntimeFile = "runtime.js"
)

// A Report says what a Build left in its directory.
type Report struct {
	Dir     string // absolute
	BuildID string // in both files, 32 hex digits
	SHA256  string // of core.wasm, hex
	Size    int    // of core.wasm in bytes; [Measure] has the compressed size
	Built   bool   // false where everything was up to date
}

// Build makes dir a complete package, ready to be served: the two built files,
// and, where dir is not wasm/npm itself, the written ones beside them. An empty
// dir stands for wasm/npm.
//
// What is up to date stays; then a call takes less than a second. It runs the go
// command, in the current directory, which has to be inside Hopseal's module.
// Files are replaced whole, so that processes which build at the same time do not
// harm each other.
func Build(ctx context.Context, dir string) (Report, error) {
	in, err := inputs(ctx)
	if err != nil {
		return Report{}, err
	}
	if dir == "" {
		dir = in.npmDir
	}
	if dir, err = filepath.Abs(dir); err != nil {
		return Report{}, err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return Report{}, err
	}
	if err := copyWritten(dir, in.npmDir); err != nil {
		return Report{}, err
	}
	if report, ok := upToDate(dir, in); ok {
		return report, nil
	}
	core, err := compile(ctx)
	if err != nil {
		return Report{}, err
	}
	if core, err = slim(core, in.goVersion); err != nil {
		return Report{}, err
	}
	return install(dir, in, core)
}

// install puts the build id into both files and writes them.
func install(dir string, in input, core []byte) (Report, error) {
	sum := sha256.New()
	sum.Write(core)
	sum.Write(in.wasmExec)
	io.WriteString(sum, runtimeTemplate)
	id := hex.EncodeToString(sum.Sum(nil)[:16])
	core = appendSection(core, buildSection, []byte(id))
	digest := sha256.Sum256(core)
	r := Report{Dir: dir, BuildID: id, SHA256: hex.EncodeToString(digest[:]), Size: len(core), Built: true}
	runtime, err := runtimeSource(in, r)
	if err != nil {
		return Report{}, err
	}
	if err := writeWhole(filepath.Join(dir, CoreFile), core); err != nil {
		return Report{}, err
	}
	return r, writeWhole(filepath.Join(dir, RuntimeFile), runtime)
}

// upToDate reads from runtime.js what it was made of, and checks that core.wasm
// is the one that was made with it.
func upToDate(dir string, in input) (Report, bool) {
	runtime, err := os.ReadFile(filepath.Join(dir, RuntimeFile))
	if err != nil {
		return Report{}, false
	}
	made, ok := parseHead(runtime)
	if !ok || made.inputs != in.digest {
		return Report{}, false
	}
	core, err := os.ReadFile(filepath.Join(dir, CoreFile))
	if err != nil {
		return Report{}, false
	}
	digest := sha256.Sum256(core)
	r := Report{Dir: dir, BuildID: made.buildID, SHA256: hex.EncodeToString(digest[:]), Size: len(core)}
	return r, r.SHA256 == made.core
}

// An input is all that the result depends on.
type input struct {
	npmDir    string
	goVersion string
	wasmExec  []byte
	digest    string // over everything, hex
}

func inputs(ctx context.Context) (in input, err error) {
	env, err := goCommand(ctx, "env", "GOVERSION", "GOROOT")
	if err != nil {
		return in, err
	}
	version, root, _ := strings.Cut(strings.TrimSpace(string(env)), "\n")
	in.goVersion = version
	if in.wasmExec, err = os.ReadFile(filepath.Join(root, "lib", "wasm", "wasm_exec.js")); err != nil {
		return in, fmt.Errorf("wasmbuild: this Go release keeps its browser support elsewhere: %w", err)
	}
	files, err := sourceFiles(ctx)
	if err != nil {
		return in, err
	}
	in.npmDir = filepath.Join(filepath.Dir(files[0]), "npm")
	in.digest, err = digestInputs(in, files)
	return in, err
}

// sourceFiles lists the Go files outside of the standard library, that of package
// wasm first. The Go release stands for the standard library.
func sourceFiles(ctx context.Context) ([]string, error) {
	const format = `{{if not .Standard}}{{$dir := .Dir}}{{range .GoFiles}}{{$dir}}{{"/"}}{{.}}{{"\n"}}{{end}}{{end}}`
	out, err := goCommand(ctx, "list", "-deps", "-f", format, corePackage)
	if err != nil {
		return nil, err
	}
	files := strings.Fields(strings.TrimSpace(string(out)))
	// go list names dependencies first.
	for i, j := 0, len(files)-1; i < j; i, j = i+1, j-1 {
		files[i], files[j] = files[j], files[i]
	}
	if len(files) == 0 {
		return nil, errors.New("wasmbuild: package wasm has no files")
	}
	return files, nil
}

// What is done to the core after linking is an input too.
var (
	//go:embed module.go
	moduleSource string
	//go:embed symbols.go
	symbolsSource string
	//go:embed slim.go
	slimSource string
	//go:embed p256.go
	p256Source string
)

func digestInputs(in input, files []string) (string, error) {
	sum := sha256.New()
	for _, part := range []string{in.goVersion, string(in.wasmExec), runtimeTemplate, strings.Join(buildArgs, " "), moduleSource, symbolsSource, slimSource, p256Source} {
		fmt.Fprintf(sum, "%d %s", len(part), part)
	}
	for _, name := range files {
		b, err := os.ReadFile(name)
		if err != nil {
			return "", err
		}
		fmt.Fprintf(sum, "%d ", len(b))
		sum.Write(b)
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}

// buildArgs leave out what differs between machines: paths, the state of the
// repository and the build id of the linker.
var buildArgs = append([]string{"-trimpath", "-buildvcs=false", "-ldflags=-s -w -buildid="}, inlining()...)

// hot are the packages whose functions the compiler inlines: in them a page spends its time. Without
// inlining their functions take two to five times as long. All other packages go without:
// inlining there saves little time and takes 170 KB of brotli.
var hot = []string{
	"crypto/internal/constanttime", "crypto/internal/fips140/aes", "crypto/internal/fips140/aes/gcm",
	"crypto/internal/fips140/alias", "crypto/internal/fips140/edwards25519",
	"crypto/internal/fips140/edwards25519/field", "crypto/internal/fips140/mlkem",
	"crypto/internal/fips140/sha256", "crypto/internal/fips140/sha3", "crypto/internal/fips140/sha512",
	"crypto/internal/fips140/subtle", "crypto/internal/fips140deps/byteorder", "crypto/subtle",
	"internal/byteorder", "math/bits",
}

// inlining returns the compiler's flags. The last pattern that matches a package counts.
func inlining() []string {
	args := []string{"-gcflags=all=-l"}
	for _, p := range hot {
		args = append(args, "-gcflags="+p+"=")
	}
	return args
}

func compile(ctx context.Context) ([]byte, error) {
	dir, err := os.MkdirTemp("", "hopseal-wasm-*")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	out := filepath.Join(dir, CoreFile)
	args := append(append([]string{"build", "-o", out}, buildArgs...), corePackage)
	if _, err := goCommand(ctx, args...); err != nil {
		return nil, err
	}
	return os.ReadFile(out)
}

// Tag leaves out of the core what only Go programs use: the typed values of package
// envelope, whose MessagePack library takes 100 KB of brotli as soon as it is imported.
const Tag = "hopseal_npm"

// goCommand runs the go command for the browser target, without any setting of
// the user's that would change the result.
func goCommand(ctx context.Context, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Env = append(os.Environ(), "GOOS=js", "GOARCH=wasm", "CGO_ENABLED=0",
		"GOFLAGS=-tags="+Tag, "GOWASM=", "GOEXPERIMENT=", "GOWORK=off", "GOFIPS140=off")
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("wasmbuild: go %s: %w: %s", args[0], err, bytes.TrimSpace(stderr.Bytes()))
	}
	return stdout.Bytes(), nil
}

// copyWritten copies the hand-written files of the package beside the built ones.
func copyWritten(dir, npmDir string) error {
	if same(dir, npmDir) {
		return nil
	}
	entries, err := os.ReadDir(npmDir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if e.IsDir() || e.Name() == RuntimeFile || e.Name() == CoreFile || !published(e.Name()) {
			continue
		}
		b, err := os.ReadFile(filepath.Join(npmDir, e.Name()))
		if err != nil {
			return err
		}
		if err := writeWhole(filepath.Join(dir, e.Name()), b); err != nil {
			return err
		}
	}
	return nil
}

func published(name string) bool {
	switch filepath.Ext(name) {
	case ".js", ".ts", ".json", ".md":
		return true
	}
	return false
}

func same(a, b string) bool {
	x, err := os.Stat(a)
	if err != nil {
		return false
	}
	y, err := os.Stat(b)
	return err == nil && os.SameFile(x, y)
}

// writeWhole replaces a file at once, unless it has that content already.
func writeWhole(path string, b []byte) error {
	if old, err := os.ReadFile(path); err == nil && bytes.Equal(old, b) {
		return nil
	}
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // fails once renamed
	_, err = f.Write(b)
	if err = errors.Join(err, f.Chmod(0o644), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}
