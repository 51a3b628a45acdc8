//go:build !js

package chromium

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/chromedp/chromedp"
)

// A console collects what a page writes.
type console struct {
	mu       sync.Mutex // guards what follows
	messages []chromedp.ConsoleMessage
	expected []string // parts of errors that the test announced
	marks    int      // end marks seen
	checked  bool
	closed   bool // no more will come

	changed chan struct{} // holds a token after messages, marks or closed changed
}

// endMark is written by the test itself, to know that all before it was read.
const endMark = "hopseal test: end of the console"

// listen begins to collect. It is the first use of the tab, and makes it.
func (p *Page) listen() error {
	c := &p.console
	c.changed = make(chan struct{}, 1)
	messages := chromedp.Console(p.ctx)
	go func() {
		for m, err := range messages {
			if err != nil {
				break
			}
			c.add(m)
		}
		c.update(func() { c.closed = true })
	}()
	return chromedp.Do(p.ctx)
}

func (c *console) add(m chromedp.ConsoleMessage) {
	c.update(func() {
		if m.Text == endMark {
			c.marks++
		} else {
			c.messages = append(c.messages, m)
		}
	})
}

func (c *console) update(change func()) {
	c.mu.Lock()
	change()
	c.mu.Unlock()
	select {
	case c.changed <- struct{}{}:
	default:
	}
}

// ExpectErrors announces errors on the console that contain one of the given
// texts: they are what the test is about.
func (p *Page) ExpectErrors(parts ...string) {
	p.console.mu.Lock()
	defer p.console.mu.Unlock()
	p.console.expected = append(p.console.expected, parts...)
}

// Console returns all that the page has written so far, errors and exceptions
// included, one text each.
func (p *Page) Console() []string {
	p.sync()
	return p.console.lines()
}

// sync waits until everything that the page wrote has come.
func (p *Page) sync() {
	ctx, cancel := context.WithTimeout(p.ctx, stepTime)
	defer cancel()
	c := &p.console
	c.mu.Lock()
	want := c.marks + 1
	c.mu.Unlock()
	if chromedp.Do(ctx, chromedp.Evaluate[chromedp.Void](`console.debug("`+endMark+`")`)) != nil {
		return // the tab is gone, and with it whatever has not come yet
	}
	for {
		c.mu.Lock()
		done := c.marks >= want || c.closed
		c.mu.Unlock()
		if done {
			return
		}
		select {
		case <-c.changed:
		case <-ctx.Done():
			return
		}
	}
}

// checkConsole fails the test where the page wrote an error that nobody announced.
func (p *Page) checkConsole() {
	p.t.Helper()
	c := &p.console
	if c.checked {
		return
	}
	c.checked = true
	p.sync()
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, m := range c.messages {
		if (m.IsException() || m.Type == "error") && !c.announced(m) {
			p.t.Errorf("the page reported: %s", show(m))
		}
	}
}

func (c *console) announced(m chromedp.ConsoleMessage) bool {
	return slices.ContainsFunc(c.expected, func(part string) bool { return strings.Contains(show(m), part) })
}

func (c *console) lines() (lines []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, m := range c.messages {
		lines = append(lines, show(m))
	}
	return lines
}

func (c *console) dump() string { return strings.Join(c.lines(), "\n") }

func show(m chromedp.ConsoleMessage) string {
	return fmt.Sprintf("%s [%s] %s (%s:%d)", m.Time.Format(time.TimeOnly), m.Type, m.Text, m.URL, m.Line+1)
}
