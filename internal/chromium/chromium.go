//go:build !js

// Package chromium drives a real browser in tests.
//
//	b := chromium.New(t)
//	ann := b.Isolated().Open(url) // two users: storage of their own
//	bob := b.Isolated().Open(url)
//	ann.Type("#name", "ann")
//	ann.Click("button")
//	bob.WaitFor(`document.body.innerText.includes("ann")`)
//
// A test is skipped with a reason where there is no Chromium; with
// HOPSEAL_BROWSER_TESTS=require in the environment it fails instead.
// HOPSEAL_CHROMIUM names another executable. What a page writes to the console as
// an error, and every uncaught exception, fails the test, unless
// [Page.ExpectErrors] has announced it.
//
// Every failure ends the test, so these functions are for the test's own
// goroutine. The browser ends with the test, whatever happens.
package chromium

import (
	"context"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

const (
	// startTime is how long a browser may take to start, on a machine that does
	// much else at the same time.
	startTime = 90 * time.Second

	// stepTime bounds one step: an action, or the wait for a condition.
	stepTime = 30 * time.Second
)

// A Browser is one running Chromium with a profile of its own, or an isolated view of it.
type Browser struct {
	t       testing.TB
	d       *devtools
	context string // of cookies and storage; none: the first
}

// New starts Chromium, or skips the test. The browser finds each of the names at
// 127.0.0.1.
func New(t testing.TB, names ...string) *Browser {
	t.Helper()
	var more []string
	if len(names) > 0 {
		more = append(more, "--host-resolver-rules=MAP "+strings.Join(names, " 127.0.0.1, MAP ")+" 127.0.0.1")
	}
	return &Browser{t: t, d: start(t, find(t), more...)}
}

// find returns the path of Chromium, or ends the test.
func find(t testing.TB) string {
	t.Helper()
	names := []string{"chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "/usr/bin/chromium"}
	if named := os.Getenv("HOPSEAL_CHROMIUM"); named != "" {
		names = []string{named}
	}
	for _, name := range names {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	const missing = "no Chromium found: install it (apt-get install chromium), or name it in HOPSEAL_CHROMIUM"
	if os.Getenv("HOPSEAL_BROWSER_TESTS") == "require" {
		t.Fatal(missing)
	}
	t.Skip(missing)
	return ""
}

// Isolated returns a view of the browser whose pages share cookies and storage
// among each other, and with no others: another person's browser.
func (b *Browser) Isolated() *Browser {
	b.t.Helper()
	var made struct{ BrowserContextID string }
	if err := b.call("", "Target.createBrowserContext", params{"disposeOnDetach": true}, &made); err != nil {
		b.t.Fatalf("making an isolated context: %v", err)
	}
	b.t.Cleanup(func() {
		b.call("", "Target.disposeBrowserContext", params{"browserContextId": made.BrowserContextID}, nil)
	})
	return &Browser{b.t, b.d, made.BrowserContextID}
}

// call is one step of a test.
func (b *Browser) call(session, method string, p params, result any) error {
	ctx, cancel := context.WithTimeout(context.Background(), stepTime)
	defer cancel()
	return b.d.call(ctx, session, method, p, result)
}

// Open opens a URL in a new tab and waits until it has loaded.
func (b *Browser) Open(url string) *Page {
	b.t.Helper()
	p := b.NewPage()
	p.Navigate(url)
	return p
}

// NewPage opens an empty tab, to be set up before it navigates.
func (b *Browser) NewPage() *Page {
	b.t.Helper()
	p := &Page{t: b.t, b: b, changed: make(chan struct{}, 1)}
	if err := p.attach(); err != nil {
		b.t.Fatalf("opening a tab: %v", err)
	}
	b.t.Cleanup(func() { // checkConsole has run: cleanups run backwards
		if !p.closed {
			b.call("", "Target.closeTarget", params{"targetId": p.target}, nil)
		}
	})
	b.t.Cleanup(p.checkConsole)
	return p
}
