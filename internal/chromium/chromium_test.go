//go:build !js

package chromium_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hopseal/hopseal/internal/chromium"
)

// serve serves one HTML page.
func serve(t *testing.T, html string) string {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		fmt.Fprint(w, "<!doctype html><link rel=icon href='data:,'>"+html)
	}))
	t.Cleanup(s.Close)
	return s.URL
}

func TestPagesAreDrivenLikeAUserDoes(t *testing.T) {
	url := serve(t, `<input id=name><button onclick="out.textContent = 'hello ' + document.querySelector('#name').value">go</button><p id=out></p>`)
	p := chromium.New(t).Open(url)
	p.Type("#name", "ann")
	p.Click("button")
	p.WaitFor(`out.textContent === "hello ann"`)
	if n := chromium.Eval[int](p, `Promise.resolve(41).then(n => n + 1)`); n != 42 {
		t.Errorf("got %d", n)
	}
	p.Run(`setTimeout(() => { window.later = true }, 50)`)
	p.WaitFor(`new Promise(done => setTimeout(() => done(window.later), 10))`)

	p.SetSize(390, 844)
	p.SetDark(true)
	if got := chromium.Eval[string](p, `innerWidth + " " + matchMedia("(prefers-color-scheme: dark)").matches`); got != "390 true" {
		t.Errorf("got %q", got)
	}
	file := filepath.Join(t.TempDir(), "page.png")
	p.Screenshot(file)
	if png, err := os.ReadFile(file); err != nil || !strings.HasPrefix(string(png), "\x89PNG") {
		t.Errorf("screenshot: %v", err)
	}
	p.Close()
}

func TestPagesShareStorageUnlessIsolated(t *testing.T) {
	url := serve(t, "")
	b := chromium.New(t)
	ann := b.Isolated()
	first, second, other := ann.Open(url), ann.Open(url), b.Isolated().Open(url)
	first.Run(`localStorage.setItem("who", "ann")`)
	for p, want := range map[*chromium.Page]string{first: "ann", second: "ann", other: "nobody"} {
		if got := chromium.Eval[string](p, `localStorage.getItem("who") ?? "nobody"`); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	first.Reload()
	first.WaitFor(`localStorage.getItem("who") === "ann"`)
}

// errorCounter is a testing.TB that takes errors instead of failing.
type errorCounter struct {
	testing.TB
	errors []string
}

func (c *errorCounter) Errorf(format string, args ...any) {
	c.errors = append(c.errors, fmt.Sprintf(format, args...))
}

func TestErrorsOnTheConsoleFailTheTest(t *testing.T) {
	url := serve(t, `<script>
		console.log("fine"); console.warn("fine too");
		console.error("first"); setTimeout(() => { throw new Error("second") });
		Promise.reject(new Error("third")); console.error("announced, fourth");
		setTimeout(() => { window.done = true }, 20);
	</script>`)
	counter := &errorCounter{TB: t}
	p := chromium.New(counter).Open(url)
	p.ExpectErrors("announced")
	p.WaitFor(`window.done`)
	if all := strings.Join(p.Console(), "\n"); !strings.Contains(all, "fine too") || !strings.Contains(all, "third") {
		t.Errorf("the console is %s", all)
	}
	p.Close()
	all := strings.Join(counter.errors, "\n")
	for _, want := range []string{"first", "second", "third"} {
		if !strings.Contains(all, want) {
			t.Errorf("%q was not reported: %s", want, all)
		}
	}
	if len(counter.errors) != 3 {
		t.Errorf("%d errors were reported: %s", len(counter.errors), all)
	}
}

func TestGoTestsThatFailInABrowserFailHere(t *testing.T) {
	for flag, want := range map[string]string{
		"-test.run=TestPasses":        "",
		"-test.run=TestPasses|Fails":  "as it should",
		"-test.run=TestPasses|Panics": "as it should too",
	} {
		counter := &errorCounter{TB: t}
		chromium.RunGoTest(counter, "./testdata/failing",
			&chromium.GoTest{Flags: []string{flag}, Env: map[string]string{"COLOUR": "green"}})
		if all := strings.Join(counter.errors, "\n"); !strings.Contains(all, want) || (want == "") != (all == "") {
			t.Errorf("%s: reported %q", flag, all)
		}
	}
}

func TestGoTestsThatAllSkipFailHere(t *testing.T) {
	counter := &errorCounter{TB: t}
	chromium.RunGoTest(counter, "./testdata/empty", nil)
	if all := strings.Join(counter.errors, "\n"); !strings.Contains(all, "no test") {
		t.Errorf("reported %q", all)
	}
}
