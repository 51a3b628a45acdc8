//go:build !js

package chromium

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// goTestTime is how long the tests of a package may run in the browser.
const goTestTime = 3 * time.Minute

// GoTest changes how [RunGoTest] runs. Nil means the zero value.
type GoTest struct {
	// Flags are given to the test binary, such as "-test.run=Dial".
	Flags []string

	// Env is the environment that the tests see.
	Env map[string]string

	// Others are what is different in the environments of further pages, each of which
	// runs the tests too, at the same time.
	Others []map[string]string

	// Handler, if set, serves what the tests ask for under /test/, on the
	// origin of the page that they run in. It sees the paths without that.
	Handler http.Handler

	// Errors are parts of messages that the browser may report on the console,
	// see Page.ExpectErrors.
	Errors []string
}

// RunGoTest compiles the tests of a package for GOOS=js GOARCH=wasm, runs them in
// Chromium and fails t if they fail, with their output. The package is an import
// path, or "." for the one under test. There is no file system in a browser: tests
// that read testdata skip or embed it.
func RunGoTest(t testing.TB, pkg string, opts *GoTest) {
	t.Helper()
	b := New(t) // skips before anything is built
	if opts == nil {
		opts = &GoTest{}
	}
	NoteSources(t, pkg)
	dir := t.TempDir()
	buildGoTest(t, pkg, filepath.Join(dir, "test.wasm"))
	server := httptest.NewServer(goTestPage(t, dir, opts))
	t.Cleanup(server.Close)

	var pages []*Page
	for n := range 1 + len(opts.Others) {
		page := b.NewPage()
		page.ExpectErrors(opts.Errors...)
		page.Navigate(server.URL + "/?page=" + strconv.Itoa(n))
		pages = append(pages, page)
	}
	for _, page := range pages {
		page.goTestResult(pkg)
	}
}

// goTestResult waits for the tests of a page.
func (p *Page) goTestResult(pkg string) {
	t, page := p.t, p
	t.Helper()
	page.WaitForUpTo(goTestTime, `window.result !== undefined || window.failure !== undefined`)
	if failure := Eval[string](page, `window.failure ?? ""`); failure != "" {
		page.fatal("running "+pkg, fmt.Errorf("%s", failure))
	}
	output := Eval[string](page, `window.output`)
	if code := Eval[int](page, `window.result`); code != 0 {
		t.Errorf("the tests of %s failed in Chromium with exit code %d:\n%s", pkg, code, output)
	} else if !strings.Contains(output, "--- PASS") {
		t.Errorf("no test of %s ran in Chromium:\n%s", pkg, output)
	}
	if testing.Verbose() {
		t.Logf("in Chromium:\n%s", output)
	}
}

// sourceFiles is a template for go list: every file of this module that a package,
// its tests and what they import are made of.
const sourceFiles = `{{$dir := .Dir}}{{if .Module}}{{if .Module.Main}}` +
	`{{range .GoFiles}}{{$dir}}/{{.}}{{"\n"}}{{end}}{{range .EmbedFiles}}{{$dir}}/{{.}}{{"\n"}}{{end}}` +
	`{{range .TestGoFiles}}{{$dir}}/{{.}}{{"\n"}}{{end}}{{range .XTestGoFiles}}{{$dir}}/{{.}}{{"\n"}}{{end}}{{end}}{{end}}`

// NoteSources makes the result of this test depend on the sources of a package as
// compiled for js/wasm. The go command caches results, and takes a test to depend
// on a file only if it is compiled in natively or the test looks at it: without
// this, a change to a file that only the browser gets would not run the test again.
func NoteSources(t testing.TB, pkg string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "list", "-deps", "-test", "-f", sourceFiles, pkg)
	cmd.Env = wasmEnv()
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("listing the sources of %s: %v", pkg, err)
	}
	for _, file := range strings.Fields(string(out)) {
		os.Stat(file) // generated ones may be gone; it is the looking that counts
	}
}

func wasmEnv() []string { return append(os.Environ(), "GOOS=js", "GOARCH=wasm", "CGO_ENABLED=0") }

func buildGoTest(t testing.TB, pkg, file string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "test", "-c", "-o", file, pkg)
	cmd.Env = wasmEnv()
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("compiling the tests of %s to wasm: %v\n%s", pkg, err, out)
	}
}

// goTestPage serves the page in which tests run, and what it needs.
func goTestPage(t testing.TB, dir string, opts *GoTest) http.Handler {
	t.Helper()
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		fmt.Fprint(w, strings.Replace(goTestHTML, "CONFIG", goTestConfig(opts, r.FormValue("page")), 1))
	})
	mux.HandleFunc("GET /favicon.ico", func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(http.StatusNoContent) })
	mux.HandleFunc("GET /test.wasm", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/wasm")
		http.ServeFile(w, r, filepath.Join(dir, "test.wasm"))
	})
	mux.HandleFunc("GET /wasm_exec.js", func(w http.ResponseWriter, r *http.Request) {
		http.ServeFile(w, r, filepath.Join(goRoot(t), "lib", "wasm", "wasm_exec.js"))
	})
	if opts.Handler != nil {
		mux.Handle("/test/", http.StripPrefix("/test", opts.Handler))
	}
	return mux
}

// goTestConfig is what the page has to know, as JSON. encoding/json escapes what
// could end a script element.
func goTestConfig(opts *GoTest, page string) string {
	env := map[string]string{}
	maps.Copy(env, opts.Env)
	if n, err := strconv.Atoi(page); err == nil && 0 < n && n <= len(opts.Others) {
		maps.Copy(env, opts.Others[n-1])
	}
	b, _ := json.Marshal(map[string]any{
		"argv": append([]string{"test.wasm", "-test.v", "-test.timeout=" + goTestTime.String()}, opts.Flags...),
		"env":  env,
	})
	return string(b)
}

// goRoot returns the GOROOT of the go command, whose wasm_exec.js has to match its
// compiler.
func goRoot(t testing.TB) string {
	out, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		t.Errorf("go env GOROOT: %v", err)
	}
	return strings.TrimSpace(string(out))
}

// goTestHTML keeps the output of the tests instead of sending it to the console,
// and says how they ended in window.result, or in window.failure.
const goTestHTML = `<!doctype html>
<meta charset="utf-8">
<title>Go tests</title>
<script src="wasm_exec.js"></script>
<script>
window.output = "";
const decoder = new TextDecoder();
globalThis.fs.writeSync = (fd, bytes) => {
	window.output += decoder.decode(bytes, { stream: true });
	return bytes.length;
};
async function run(config) {
	const go = new Go();
	go.argv = config.argv;
	go.env = config.env;
	let code;
	go.exit = (c) => { code = c; };
	const { instance } = await WebAssembly.instantiateStreaming(fetch("test.wasm"), go.importObject);
	await go.run(instance);
	window.result = code ?? 0;
}
run(CONFIG).catch((e) => { window.failure = String(e.stack ?? e) + "\n" + window.output; });
</script>
`
