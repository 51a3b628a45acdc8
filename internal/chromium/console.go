//go:build !js

package chromium

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
)

// A console collects what a page writes. The page's mu guards it.
type console struct {
	entries  []entry
	expected []string // parts of errors that the test announced
	marks    int      // end marks seen
	checked  bool
}

// An entry is one line of a console.
type entry struct {
	at   float64 // in milliseconds since 1970
	kind string  // such as "log", "error", or "exception" for one that nobody has caught
	text string
	url  string
	line int // the first is 0
}

// endMark is written by the test itself, to know that all before it was read.
const endMark = "hopseal test: end of the console"

// A remoteObject is a value of JavaScript.
type remoteObject struct {
	Type, Description string
	Value             json.RawMessage
}

func (o remoteObject) String() string {
	var text string
	if o.Type == "string" && json.Unmarshal(o.Value, &text) == nil {
		return text
	}
	return cmp.Or(o.Description, string(o.Value), o.Type)
}

// A frame is where a script has called.
type frame struct {
	URL        string
	LineNumber int
}

// An exception is one that a script has not caught.
type exception struct {
	frame
	Text       string // "Uncaught", or "Uncaught (in promise)"
	Exception  remoteObject
	StackTrace struct{ CallFrames []frame }
}

func (e *exception) String() string {
	text, _, _ := strings.Cut(e.Exception.String(), "\n    at ")
	return strings.TrimSpace(e.Text + " " + text)
}

// consoleEntry returns what an event adds to the console, if anything.
func consoleEntry(m message) (e entry, ok bool) {
	switch m.Method {
	case "Runtime.consoleAPICalled":
		return calledEntry(m.Params)
	case "Runtime.exceptionThrown":
		var p struct {
			Timestamp        float64
			ExceptionDetails exception
		}
		ok = json.Unmarshal(m.Params, &p) == nil
		x := p.ExceptionDetails
		at := first(append([]frame{x.frame}, x.StackTrace.CallFrames...))
		return entry{p.Timestamp, "exception", x.String(), at.URL, at.LineNumber}, ok
	case "Log.entryAdded":
		var p struct {
			Entry struct {
				Level, Text, URL string
				Timestamp        float64
				LineNumber       int
			}
		}
		ok = json.Unmarshal(m.Params, &p) == nil
		x := p.Entry
		return entry{x.Timestamp, x.Level, x.Text, x.URL, x.LineNumber}, ok
	}
	return e, false
}

func calledEntry(text json.RawMessage) (e entry, ok bool) {
	var p struct {
		Type       string
		Args       []remoteObject
		Timestamp  float64
		StackTrace struct{ CallFrames []frame }
	}
	ok = json.Unmarshal(text, &p) == nil
	var args []string
	for _, a := range p.Args {
		args = append(args, a.String())
	}
	at := first(p.StackTrace.CallFrames)
	return entry{p.Timestamp, p.Type, strings.Join(args, " "), at.URL, at.LineNumber}, ok
}

// first returns the first frame that says where it is.
func first(frames []frame) (f frame) {
	if i := slices.IndexFunc(frames, func(f frame) bool { return f.URL != "" }); i >= 0 {
		f = frames[i]
	}
	return f
}

// note adds to the console. The caller holds p.mu.
func (c *console) note(e entry) {
	if e.text == endMark {
		c.marks++
	} else {
		c.entries = append(c.entries, e)
	}
}

// ExpectErrors announces errors on the console that contain one of the given
// texts: they are what the test is about.
func (p *Page) ExpectErrors(parts ...string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.console.expected = append(p.console.expected, parts...)
}

// Console returns all that the page has written so far, errors and exceptions
// included, one text each.
func (p *Page) Console() []string {
	p.sync()
	return p.lines()
}

// sync waits until everything that the page wrote has come.
func (p *Page) sync() {
	ctx, cancel := context.WithTimeout(context.Background(), stepTime)
	defer cancel()
	p.mu.Lock()
	want := p.console.marks + 1
	p.mu.Unlock()
	if _, err := p.b.d.evaluate(ctx, p.session, `console.debug("`+endMark+`")`); err != nil {
		return // the tab is gone, and with it whatever has not come yet
	}
	p.await(ctx, func() bool { return p.console.marks >= want })
}

// checkConsole fails the test where the page wrote an error that nobody announced.
func (p *Page) checkConsole() {
	p.t.Helper()
	if p.console.checked {
		return
	}
	p.console.checked = true
	p.sync()
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, e := range p.console.entries {
		if (e.kind == "exception" || e.kind == "error") && !p.console.announced(e) {
			p.t.Errorf("the page reported: %s", e)
		}
	}
}

func (c *console) announced(e entry) bool {
	return slices.ContainsFunc(c.expected, func(part string) bool { return strings.Contains(e.String(), part) })
}

func (p *Page) lines() (lines []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, e := range p.console.entries {
		lines = append(lines, e.String())
	}
	return lines
}

func (e entry) String() string {
	return fmt.Sprintf("%s [%s] %s (%s:%d)", time.UnixMilli(int64(e.at)).Format(time.TimeOnly), e.kind, e.text, e.url, e.line+1)
}
