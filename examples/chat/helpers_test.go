//go:build !js

package main

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hopseal/hopseal/internal/leak"
	"github.com/hopseal/hopseal/transport"
	"github.com/hopseal/hopseal/transport/relay"
)

func TestMain(m *testing.M) { leak.Main(m) }

// patience bounds every wait of a test; a test that passes waits far less.
const patience = 3 * time.Minute

// A screen is what a program printed.
type screen struct {
	mu      sync.Mutex
	text    bytes.Buffer
	changed chan struct{} // closed, and replaced, with every write
}

func newScreen() *screen { return &screen{changed: make(chan struct{})} }

func (s *screen) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	close(s.changed)
	s.changed = make(chan struct{})
	return s.text.Write(b)
}

func (s *screen) content() (string, <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String(), s.changed
}

func (s *screen) String() string {
	text, _ := s.content()
	return text
}

// A user sits at a terminal client.
type user struct {
	t      *testing.T
	name   string
	in     *io.PipeWriter
	out    *screen
	errors *screen
	seen   int // bytes of out that earlier calls of sees have gone past
	code   chan int
	cancel context.CancelFunc
}

// joins starts a client in room lobby and waits until it is there.
func joins(t *testing.T, url, name string, more ...string) *user {
	t.Helper()
	u := starts(t, name, append([]string{"join", "-name", name, "-room", "lobby", url}, more...)...)
	u.sees("in room")
	return u
}

// starts runs the program with some arguments.
func starts(t *testing.T, name string, args ...string) *user {
	t.Helper()
	return startsWith(t, name, "", args...)
}

func startsWith(t *testing.T, name, passphrase string, args ...string) *user {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	r, w := io.Pipe()
	u := &user{t: t, name: name, in: w, out: newScreen(), errors: newScreen(), code: make(chan int, 1), cancel: cancel}
	getenv := func(key string) string {
		if key == passphraseVariable {
			return passphrase
		}
		return ""
	}
	go func() {
		u.code <- run(ctx, args, stdio{r, u.out, u.errors, getenv})
		r.Close()
	}()
	t.Cleanup(u.leaves)
	return u
}

// leaves ends the client, if it still runs, as closing the terminal would.
func (u *user) leaves() {
	u.in.Close()
	select {
	case code := <-u.code:
		u.code <- code
	case <-time.After(patience):
		u.t.Errorf("%s does not end", u.name)
	}
	u.cancel()
}

// ends returns the exit code and the error lines.
func (u *user) ends() (int, string) {
	u.t.Helper()
	select {
	case code := <-u.code:
		u.code <- code
		return code, u.errors.String()
	case <-time.After(patience):
		u.t.Fatalf("%s does not end; printed:\n%s", u.name, u.out)
		return 0, ""
	}
}

func (u *user) types(line string) {
	u.t.Helper()
	if _, err := io.WriteString(u.in, line+"\n"); err != nil {
		u.t.Fatalf("%s cannot type: %v", u.name, err)
	}
}

// sees waits for a line that holds all the texts, after the last one seen, and
// returns it.
func (u *user) sees(texts ...string) string {
	u.t.Helper()
	return u.seesUnless(nil, texts...)
}

// seesUnless is sees, and returns "" when ended is ready first.
func (u *user) seesUnless(ended <-chan error, texts ...string) string {
	u.t.Helper()
	timeout := time.After(patience)
	for {
		all, changed := u.out.content()
		at := u.seen
		for line := range strings.Lines(all[u.seen:]) {
			at += len(line)
			if strings.HasSuffix(line, "\n") && containsAll(line, texts) {
				u.seen = at
				return strings.TrimSuffix(line, "\n")
			}
		}
		select {
		case <-changed:
		case <-ended:
			return ""
		case <-timeout:
			u.t.Fatalf("%s does not see %q after:\n%s\nafter that:\n%s%s", u.name, texts, all[:u.seen], all[u.seen:], u.errors)
		}
	}
}

func containsAll(s string, parts []string) bool {
	for _, p := range parts {
		if !strings.Contains(s, p) {
			return false
		}
	}
	return true
}

// shows waits for a text anywhere on the screen, past the last one.
func (u *user) shows(text string) {
	u.t.Helper()
	timeout := time.After(patience)
	for {
		all, changed := u.out.content()
		if i := strings.Index(all[u.seen:], text); i >= 0 {
			u.seen += i + len(text)
			return
		}
		select {
		case <-changed:
		case <-timeout:
			u.t.Fatalf("%s does not see %q; printed:\n%q", u.name, text, all)
		}
	}
}

// fingerprint returns the user's own, as the client prints it at its start.
func (u *user) fingerprint() string {
	u.t.Helper()
	for line := range strings.Lines(u.out.String()) {
		if _, f, ok := strings.Cut(line, "compare: "); ok && strings.Contains(line, "* you are") {
			return strings.TrimSpace(f)
		}
	}
	u.t.Fatalf("%s printed no fingerprint:\n%s", u.name, u.out)
	return ""
}

// prefix returns enough of the user's fingerprint for /admit.
func (u *user) prefix() string { return u.fingerprint()[:len("fp1 abcd efgh ijkl")] }

// admits makes the user admit others, whom it must have seen come.
func (u *user) admits(others ...*user) {
	u.t.Helper()
	for _, other := range others {
		u.types("/admit " + other.prefix())
		u.sees("is admitted")
	}
}

// meet makes everybody wait for the others and admit them.
func meet(users ...*user) {
	for i, u := range users {
		u.t.Helper()
		for j, other := range users {
			if i == j {
				continue
			}
			u.waitsFor(other)
			u.admits(other)
		}
	}
}

// waitsFor waits until the client has shown the other's fingerprint.
func (u *user) waitsFor(other *user) {
	u.t.Helper()
	timeout := time.After(patience)
	for {
		all, changed := u.out.content()
		if strings.Contains(all, other.fingerprint()) {
			return
		}
		select {
		case <-changed:
		case <-timeout:
			u.t.Fatalf("%s does not see %s; printed:\n%s", u.name, other.name, all)
		}
	}
}

// A wire is a relay over real sockets, with the page beside it, and all that
// clients sent it.
type wire struct {
	url string
	hub atomic.Pointer[relay.Hub] // nil while the relay is down

	mu     sync.Mutex
	frames [][]byte
}

func startRelay(t *testing.T) *wire {
	t.Helper()
	return startWire(t, "", func(w *wire) http.Handler { return w })
}

// startWire serves the relay behind whatever handler makes of it, and the page
// with the npm package in a folder, if there is one.
func startWire(t *testing.T, npmDir string, handler func(*wire) http.Handler) *wire {
	t.Helper()
	if npmDir == "" {
		npmDir = t.TempDir()
	}
	w := new(wire)
	server := httptest.NewServer(newHandler(handler(w), npmDir))
	w.url = server.URL
	w.comesUp(t)
	t.Cleanup(func() {
		w.goesDown(t)
		server.Close()
	})
	return w
}

func (w *wire) comesUp(t *testing.T) {
	w.hub.Store(relay.New(relay.Options{Tap: w.tap, Accept: &transport.AcceptOptions{Sealed: true}}))
}

func (w *wire) goesDown(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if hub := w.hub.Swap(nil); hub != nil {
		if err := hub.Shutdown(ctx); err != nil {
			t.Error(err)
		}
	}
}

func (w *wire) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	if hub := w.hub.Load(); hub != nil {
		hub.ServeHTTP(rw, r)
		return
	}
	http.Error(rw, "down", http.StatusServiceUnavailable)
}

func (w *wire) tap(frame []byte) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.frames = append(w.frames, bytes.Clone(frame))
}

// mustNotHold fails the test if one of the texts passed the relay in the clear.
func (w *wire) mustNotHold(t *testing.T, texts ...string) {
	t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.frames) == 0 {
		t.Error("no frame passed the relay")
	}
	for _, text := range texts {
		for _, f := range w.frames {
			if bytes.Contains(f, []byte(text)) {
				t.Errorf("the relay saw %q", text)
			}
		}
	}
}
