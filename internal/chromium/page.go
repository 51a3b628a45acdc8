//go:build !js

package chromium

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
)

// pollInterval is the time between two looks at a condition.
const pollInterval = 25 * time.Millisecond

// A Page is one tab.
type Page struct {
	t       testing.TB
	ctx     context.Context
	console console
}

// do runs one step of a test.
func (p *Page) do(what string, action chromedp.Action[chromedp.Void]) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, stepTime)
	defer cancel()
	if err := chromedp.Do(ctx, action); err != nil {
		p.fatal(what, err)
	}
}

// fatal ends the test, and says what the page looked like.
func (p *Page) fatal(what string, err error) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, stepTime)
	defer cancel()
	text, _ := chromedp.Run(ctx, chromedp.Evaluate[string](`location.href + "\n" + document.body?.innerText.slice(0, 4000)`))
	p.t.Fatalf("%s: %v\n--- page ---\n%s\n--- console ---\n%s", what, err, text, p.console.dump())
}

// Navigate goes to a URL and waits until it has loaded.
func (p *Page) Navigate(url string) {
	p.t.Helper()
	p.do("going to "+url, chromedp.Navigate(url))
}

// Reload loads the page again and waits until it has loaded.
func (p *Page) Reload() {
	p.t.Helper()
	p.do("reloading", chromedp.Reload())
}

// Click waits until the element that a CSS selector names is visible, and clicks
// into its middle.
func (p *Page) Click(selector string) {
	p.t.Helper()
	p.do("clicking "+selector, chromedp.Click(chromedp.CSS(selector)))
}

// Type waits until the element that a CSS selector names is visible, and types
// into it. A "\n" is the Enter key.
func (p *Page) Type(selector, text string) {
	p.t.Helper()
	p.do("typing into "+selector, chromedp.SendKeys(chromedp.CSS(selector), text))
}

// Run evaluates JavaScript for its effect. It waits for a promise that it gives.
func (p *Page) Run(script string) {
	p.t.Helper()
	p.do("running "+script, chromedp.Evaluate[chromedp.Void](script, chromedp.EvalAwaitPromise))
}

// Eval evaluates a JavaScript expression, waits for it if it is a promise, and
// returns its value, which passes through JSON.
func Eval[T any](p *Page, script string) T {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, stepTime)
	defer cancel()
	value, err := chromedp.Run(ctx, chromedp.Evaluate[T](script, chromedp.EvalAwaitPromise))
	if err != nil {
		p.fatal("evaluating "+script, err)
	}
	return value
}

// WaitFor waits until a JavaScript expression, or the promise that it gives, is
// true. It outlives navigation. The test fails after 30 seconds.
func (p *Page) WaitFor(condition string) {
	p.t.Helper()
	p.WaitForUpTo(stepTime, condition)
}

// WaitForUpTo is WaitFor with another limit.
func (p *Page) WaitForUpTo(limit time.Duration, condition string) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, limit)
	defer cancel()
	script := "(async () => Boolean(await (" + condition + ")))()"
	tick := time.NewTicker(pollInterval)
	defer tick.Stop()
	for {
		ok, err := chromedp.Run(ctx, chromedp.Evaluate[bool](script, chromedp.EvalAwaitPromise))
		if ok {
			return
		}
		if err != nil && strings.Contains(err.Error(), "SyntaxError") {
			p.fatal("waiting for "+condition, err)
		}
		select {
		case <-tick.C: // an error may be a navigation's: look again
		case <-ctx.Done():
			p.fatal(fmt.Sprintf("waiting %v for %s", limit, condition), err)
		}
	}
}

// SetSize makes the page so many CSS pixels large.
func (p *Page) SetSize(width, height int) {
	p.t.Helper()
	p.do("setting the size", chromedp.EmulateViewport(int64(width), int64(height)))
}

// SetDark makes the page see a user who prefers dark colours, or light ones.
func (p *Page) SetDark(dark bool) {
	p.t.Helper()
	scheme := &emulation.MediaFeature{Name: "prefers-color-scheme", Value: "light"}
	if dark {
		scheme.Value = "dark"
	}
	p.do("setting the colour scheme", chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, emulation.SetEmulatedMedia,
			emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{scheme}})
		return err
	}))
}

// Screenshot writes what is visible of the page to a PNG file.
func (p *Page) Screenshot(path string) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, stepTime)
	defer cancel()
	png, err := chromedp.Run(ctx, chromedp.CaptureScreenshot())
	if err == nil {
		err = os.WriteFile(path, png, 0o644)
	}
	if err != nil {
		p.fatal("taking a screenshot", err)
	}
}

// Close closes the tab, as a user does.
func (p *Page) Close() {
	p.t.Helper()
	p.checkConsole()
	ctx, cancel := context.WithTimeout(p.ctx, stepTime)
	defer cancel()
	if err := chromedp.Cancel(ctx); err != nil {
		p.t.Fatalf("closing a tab: %v", err)
	}
}
