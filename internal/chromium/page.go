//go:build !js

package chromium

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// pollInterval is the time between two looks at a condition.
const pollInterval = 25 * time.Millisecond

// A Page is one tab.
type Page struct {
	t               testing.TB
	b               *Browser
	target, session string
	closed          bool

	mu      sync.Mutex // guards what follows
	console console
	loaded  []string // documents that have loaded

	changed chan struct{} // has a token after console or loaded changed
}

// attach makes the tab and begins to listen to it.
func (p *Page) attach() error {
	create := params{"url": "about:blank"}
	if p.b.context != "" {
		create["browserContextId"] = p.b.context
	}
	var made struct{ TargetID, SessionID string }
	if err := p.b.call("", "Target.createTarget", create, &made); err != nil {
		return err
	}
	if err := p.b.call("", "Target.attachToTarget", params{"targetId": made.TargetID, "flatten": true}, &made); err != nil {
		return err
	}
	p.target, p.session = made.TargetID, made.SessionID
	p.b.d.handle(p.session, p.event)
	for _, domain := range []string{"Page", "Runtime", "Log"} {
		if err := p.b.call(p.session, domain+".enable", nil, nil); err != nil {
			return err
		}
	}
	return p.b.call(p.session, "Page.setLifecycleEventsEnabled", params{"enabled": true}, nil)
}

func (p *Page) event(m message) {
	var life struct{ FrameID, LoaderID, Name string }
	e, isEntry := consoleEntry(m)
	isLoad := m.Method == "Page.lifecycleEvent" && json.Unmarshal(m.Params, &life) == nil && life.Name == "load" && life.FrameID == p.target
	p.mu.Lock()
	if isEntry {
		p.console.note(e)
	}
	if isLoad {
		p.loaded = append(p.loaded, life.LoaderID)
	}
	p.mu.Unlock()
	select {
	case p.changed <- struct{}{}:
	default:
	}
}

// await waits until something is so. It calls done with p.mu held.
func (p *Page) await(ctx context.Context, done func() bool) error {
	for {
		p.mu.Lock()
		ok := done()
		p.mu.Unlock()
		if ok {
			return nil
		}
		select {
		case <-p.changed:
		case <-p.b.d.ended:
			return p.b.d.err
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// do runs one step of a test.
func (p *Page) do(what string, step func(ctx context.Context) error) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), stepTime)
	defer cancel()
	if err := step(ctx); err != nil {
		p.fatal(what, err)
	}
}

func (p *Page) call(ctx context.Context, method string, with params, result any) error {
	return p.b.d.call(ctx, p.session, method, with, result)
}

// fatal ends the test, and says what the page looked like.
func (p *Page) fatal(what string, err error) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), stepTime)
	defer cancel()
	text, _ := p.eval(ctx, `location.href + "\n" + document.body?.innerText.slice(0, 4000)`)
	p.t.Fatalf("%s: %v\n--- page ---\n%s\n--- console ---\n%s", what, err, strings.ReplaceAll(string(text), `\n`, "\n"), strings.Join(p.lines(), "\n"))
}

func (p *Page) eval(ctx context.Context, script string) (json.RawMessage, error) {
	return p.b.d.evaluate(ctx, p.session, script)
}

// Navigate goes to a URL and waits until it has loaded.
func (p *Page) Navigate(url string) {
	p.t.Helper()
	p.do("going to "+url, func(ctx context.Context) error {
		var to struct{ LoaderID, ErrorText string }
		if err := p.call(ctx, "Page.navigate", params{"url": url}, &to); err != nil {
			return err
		}
		if to.ErrorText != "" {
			return errors.New(to.ErrorText)
		}
		// Within a document nothing is loaded.
		return p.await(ctx, func() bool { return to.LoaderID == "" || slices.Contains(p.loaded, to.LoaderID) })
	})
}

// Reload loads the page again and waits until it has loaded.
func (p *Page) Reload() {
	p.t.Helper()
	p.do("reloading", func(ctx context.Context) error {
		p.mu.Lock()
		before := len(p.loaded)
		p.mu.Unlock()
		if err := p.call(ctx, "Page.reload", nil, nil); err != nil {
			return err
		}
		return p.await(ctx, func() bool { return len(p.loaded) > before })
	})
}

// middle is a script that gives the middle of an element, once that is visible.
const middle = `(() => {
	const element = document.querySelector(%s);
	if (!element?.checkVisibility({ visibilityProperty: true })) return null;
	element.scrollIntoView({ block: "nearest", behavior: "instant" });
	const box = element.getClientRects()[0];
	return box && box.width > 0 && box.height > 0 ? [box.x + box.width / 2, box.y + box.height / 2] : null;
})()`

// find waits until the element that a CSS selector names is visible, and returns its middle.
func (p *Page) find(ctx context.Context, selector string) (x, y float64, err error) {
	quoted, err := json.Marshal(selector)
	if err != nil {
		return 0, 0, err
	}
	script := fmt.Sprintf(middle, quoted)
	for {
		var at []float64
		value, err := p.eval(ctx, script)
		if err == nil && json.Unmarshal(value, &at) == nil && len(at) == 2 {
			return at[0], at[1], nil
		}
		select {
		case <-time.After(pollInterval): // an error may be a navigation's: look again
		case <-ctx.Done():
			return 0, 0, errors.Join(ctx.Err(), err)
		}
	}
}

// Click waits until the element that a CSS selector names is visible, and clicks
// into its middle.
func (p *Page) Click(selector string) {
	p.t.Helper()
	p.do("clicking "+selector, func(ctx context.Context) error {
		x, y, err := p.find(ctx, selector)
		for _, what := range []string{"mousePressed", "mouseReleased"} {
			if err == nil {
				err = p.call(ctx, "Input.dispatchMouseEvent", params{"type": what, "x": x, "y": y, "button": "left", "clickCount": 1}, nil)
			}
		}
		return err
	})
}

// Type waits until the element that a CSS selector names is visible, and types
// into it. A "\n" is the Enter key.
func (p *Page) Type(selector, text string) {
	p.t.Helper()
	p.do("typing into "+selector, func(ctx context.Context) error {
		if _, _, err := p.find(ctx, selector); err != nil {
			return err
		}
		quoted, err := json.Marshal(selector)
		if err != nil {
			return err
		}
		if _, err := p.eval(ctx, `document.querySelector(`+string(quoted)+`).focus()`); err != nil {
			return err
		}
		for _, key := range text {
			if err := p.press(ctx, key); err != nil {
				return err
			}
		}
		return nil
	})
}

func (p *Page) press(ctx context.Context, key rune) error {
	down := params{"type": "keyDown", "key": string(key), "text": string(key)}
	if key == '\n' {
		down = params{"type": "keyDown", "key": "Enter", "code": "Enter", "text": "\r", "windowsVirtualKeyCode": 13}
	}
	if err := p.call(ctx, "Input.dispatchKeyEvent", down, nil); err != nil {
		return err
	}
	up := maps.Clone(down)
	up["type"] = "keyUp"
	delete(up, "text")
	return p.call(ctx, "Input.dispatchKeyEvent", up, nil)
}

// Run evaluates JavaScript for its effect. It waits for a promise that it gives.
func (p *Page) Run(script string) {
	p.t.Helper()
	p.do("running "+script, func(ctx context.Context) error {
		_, err := p.eval(ctx, script)
		return err
	})
}

// Eval evaluates a JavaScript expression, waits for it if it is a promise, and
// returns its value, which passes through JSON.
func Eval[T any](p *Page, script string) (value T) {
	p.t.Helper()
	p.do("evaluating "+script, func(ctx context.Context) error {
		text, err := p.eval(ctx, script)
		if err != nil {
			return err
		}
		if len(text) == 0 || string(text) == "null" {
			return errors.New("it gives nothing")
		}
		return json.Unmarshal(text, &value)
	})
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
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	script := "(async () => Boolean(await (" + condition + ")))()"
	tick := time.NewTicker(pollInterval)
	defer tick.Stop()
	for {
		value, err := p.eval(ctx, script)
		if string(value) == "true" {
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
	p.do("setting the size", func(ctx context.Context) error {
		return p.call(ctx, "Emulation.setDeviceMetricsOverride",
			params{"width": width, "height": height, "deviceScaleFactor": 1, "mobile": false}, nil)
	})
}

// SetDark makes the page see a user who prefers dark colours, or light ones.
func (p *Page) SetDark(dark bool) {
	p.t.Helper()
	scheme := "light"
	if dark {
		scheme = "dark"
	}
	p.do("setting the colour scheme", func(ctx context.Context) error {
		return p.call(ctx, "Emulation.setEmulatedMedia",
			params{"features": []params{{"name": "prefers-color-scheme", "value": scheme}}}, nil)
	})
}

// Screenshot writes what is visible of the page to a PNG file.
func (p *Page) Screenshot(path string) {
	p.t.Helper()
	p.do("taking a screenshot", func(ctx context.Context) error {
		var shot struct{ Data []byte }
		if err := p.call(ctx, "Page.captureScreenshot", params{"format": "png"}, &shot); err != nil {
			return err
		}
		return os.WriteFile(path, shot.Data, 0o644)
	})
}

// Close closes the tab, as a user does, and waits until it is gone.
func (p *Page) Close() {
	p.t.Helper()
	p.checkConsole()
	p.closed = true
	p.do("closing a tab", func(ctx context.Context) error {
		if err := p.call(ctx, "Page.close", nil, nil); err != nil {
			return err
		}
		for p.open(ctx) {
			time.Sleep(pollInterval)
		}
		return ctx.Err()
	})
}

func (p *Page) open(ctx context.Context) bool {
	var all struct{ TargetInfos []struct{ TargetID string } }
	err := p.b.d.call(ctx, "", "Target.getTargets", nil, &all)
	return err == nil && slices.ContainsFunc(all.TargetInfos, func(t struct{ TargetID string }) bool { return t.TargetID == p.target })
}
