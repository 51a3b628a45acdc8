//go:build !js

package main

import (
	"bufio"
	"context"
	"encoding/hex"
	"fmt"
	"io"

	"github.com/hopseal/hopseal/envelope"
	"github.com/hopseal/hopseal/internal/safetext"
)

var inspectCommand = command{name: "inspect", args: "[FILE]", summary: "show what anybody on the way sees of an envelope or a stream", run: inspect}

// inspectResult is what anybody can see of an envelope or a stream without a key.
type inspectResult struct {
	Kind          string       `json:"kind"`
	Authenticated bool         `json:"authenticated"` // never
	Size          int64        `json:"size"`
	Suite         int          `json:"suite"`
	Algorithms    string       `json:"algorithms"`
	Sender        string       `json:"sender,omitempty"`
	Party         string       `json:"party,omitempty"`
	SealKey       string       `json:"seal_key"`
	ProofKey      string       `json:"proof_key,omitempty"`
	MessageID     string       `json:"message_id"`
	Time          string       `json:"time"`
	ContentType   string       `json:"content_type"`
	Context       string       `json:"context"`
	Salt          string       `json:"salt,omitempty"`
	Recipients    []string     `json:"recipients,omitempty"`
	Segments      int64        `json:"segments,omitempty"`
	ContentLeast  int64        `json:"content_least"`
	ContentMost   int64        `json:"content_most"`
	ContentLimit  int64        `json:"content_limit"`
	Parts         []partResult `json:"parts"`

	view *hexView // of the bytes, nil without -hex
}

// partResult is a run of bytes.
type partResult struct {
	Section string `json:"section"`
	Name    string `json:"name"`
	Offset  int64  `json:"offset"`
	Size    int64  `json:"size"`
	Head    int    `json:"head"`
}

// timeFormat is RFC 3339 in UTC. A stranger's time may have a year of five digits,
// which encoding/json refuses to write.
const timeFormat = "2006-01-02T15:04:05.000Z"

func describeMessage(m message) inspectResult {
	h, content := m.Header, m.Content()
	r := inspectResult{
		Kind: m.kind, Size: m.window.size, Suite: int(h.Suite), Algorithms: h.Suite.String(), Party: h.Party,
		SealKey: hex.EncodeToString(h.SealKey[:]), MessageID: h.ID.String(), Time: h.Time.UTC().Format(timeFormat),
		ContentType: h.ContentType, Context: h.Context, Segments: m.Segments,
		ContentLeast: content.Least, ContentMost: content.Most, ContentLimit: content.Limit,
	}
	if h.Suite != envelope.SuiteShared {
		r.Sender, r.ProofKey = h.Sender.String(), h.ProofKey.String()
	}
	if m.Segments > 0 {
		r.Salt = hex.EncodeToString(m.Salt[:])
	}
	for _, id := range m.Recipients {
		r.Recipients = append(r.Recipients, id.String())
	}
	for _, p := range m.Parts {
		r.Parts = append(r.Parts, partResult(p))
	}
	return r
}

const notAuthenticated = "NOT AUTHENTICATED: whoever passed this on may have written or changed any of it"

func (r inspectResult) text(w io.Writer) {
	fmt.Fprintln(w, notAuthenticated)
	field := func(name, format string, args ...any) {
		fmt.Fprintf(w, "%-15s"+format+"\n", append([]any{name}, args...)...)
	}
	field("kind", "%s, %s", r.Kind, sizeText(r.Size))
	field("suite", "%d: %s", r.Suite, r.Algorithms)
	if r.Sender != "" {
		field("sender", "%s", r.Sender)
	} else {
		field("party", "%s", quoted(r.Party))
	}
	field("seal key", "%s", r.SealKey)
	if r.ProofKey != "" {
		field("proof key", "%s", r.ProofKey)
	}
	field("message id", "%s", r.MessageID)
	field("time", "%s", r.Time)
	field("content type", "%s", quoted(r.ContentType))
	field("context", "%s", quoted(r.Context))
	if r.Salt != "" {
		field("salt", "%s", r.Salt)
	}
	for i, id := range r.Recipients {
		field(fmt.Sprint("recipient ", i+1), "%s", id)
	}
	if r.Segments > 0 {
		field("segments", "%d", r.Segments)
	}
	field("content", "hidden, %s", r.contentText())
	if r.view != nil {
		fmt.Fprintln(w)
		r.view.print(w)
	}
}

// contentText says how long the content can be.
func (r inspectResult) contentText() string {
	switch {
	case r.ContentLeast == 0 && r.ContentMost == r.ContentLimit:
		return "at most " + sizeText(r.ContentLimit)
	case r.ContentLeast == r.ContentMost:
		return fmt.Sprintf("%s if padded by default, else at most %d", sizeText(r.ContentMost), r.ContentLimit)
	}
	return fmt.Sprintf("%d to %s if padded by default, else at most %d", r.ContentLeast, sizeText(r.ContentMost), r.ContentLimit)
}

func sizeText(n int64) string {
	if n == 1 {
		return "1 byte"
	}
	return fmt.Sprintf("%d bytes", n)
}

// quoted shows a whole text from a header: an escape takes up to four characters
// for each of its bytes.
func quoted(s string) string { return safetext.Quote(s, 4*envelope.MaxContextSize) }

func inspect(ctx context.Context, c *call) error {
	showHex := c.Bool("hex", false, "show the bytes as well, and which field each belongs to")
	all := c.Bool("all", false, "with -hex: every byte, but for a stream's segments")
	if err := c.parse(0, 1); err != nil {
		return err
	}
	switch {
	case *all && !*showHex:
		return c.wrong("-all goes with -hex")
	case *showHex && c.json:
		return c.wrong("-hex is for people, and -json tells where each part is: give one")
	case len(c.args) == 0 && c.console.attended():
		return c.wrong("no file is named: give FILE, or - to type it in")
	}
	name := "-"
	if len(c.args) > 0 {
		name = c.args[0]
	}
	m, err := interruptible(ctx, func() (message, error) { return c.readMessage(name) })
	if err != nil {
		return err
	}
	r := describeMessage(m)
	if !*showHex {
		return c.print(r)
	}
	r.view = &hexView{m.window, m.Parts, *all}
	w := bufio.NewWriter(c.stdout)
	r.text(w)
	if err := w.Flush(); err != nil {
		return fmt.Errorf("the output was not written: %w", err)
	}
	return nil
}
