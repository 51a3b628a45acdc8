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

	"github.com/chromedp/chromedp"
)

const (
	// startTime is how long a browser may take to start, on a machine that does
	// much else at the same time.
	startTime = 90 * time.Second

	// stepTime bounds one step: an action, or the wait for a condition.
	stepTime = 30 * time.Second
)

// A Browser is one running Chromium with a profile of its own.
type Browser struct {
	t   testing.TB
	ctx context.Context // of the first tab, which stays empty; parent of the others
}

// New starts Chromium, or skips the test. The browser finds each of the names at
// 127.0.0.1.
func New(t testing.TB, names ...string) *Browser {
	t.Helper()
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(find(t)),
		chromedp.NoSandbox, // in a container there are no namespaces for one
		chromedp.DisableGPU,
		chromedp.Flag("disable-quic", true),
		chromedp.Flag("disable-component-update", true),
		chromedp.WindowSize(1280, 800),
	)
	if len(names) > 0 {
		options = append(options, chromedp.Flag("host-resolver-rules", "MAP "+strings.Join(names, " 127.0.0.1, MAP ")+" 127.0.0.1"))
	}
	ctx, stop := chromedp.NewExecAllocator(context.Background(), options...)
	t.Cleanup(stop)
	ctx, cancel := chromedp.NewContext(ctx)
	t.Cleanup(cancel)
	late := time.AfterFunc(startTime, cancel)
	defer late.Stop()
	if err := chromedp.Do(ctx); err != nil {
		t.Fatalf("starting Chromium: %v", err)
	}
	return &Browser{t, ctx}
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
	ctx, cancel := chromedp.NewContext(b.ctx, chromedp.WithNewBrowserContext())
	b.t.Cleanup(cancel)
	if err := chromedp.Do(ctx); err != nil {
		b.t.Fatalf("making an isolated context: %v", err)
	}
	return &Browser{b.t, ctx}
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
	ctx, cancel := chromedp.NewContext(b.ctx)
	b.t.Cleanup(cancel)
	p := &Page{t: b.t, ctx: ctx}
	if err := p.listen(); err != nil {
		b.t.Fatalf("opening a tab: %v", err)
	}
	b.t.Cleanup(p.checkConsole) // before the tab closes: cleanups run backwards
	return p
}
