//go:build !js

package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/hopseal/hopseal/envelope"
	"github.com/hopseal/hopseal/internal/safetext"
)

// Of a part that is longer, the hop view shows the beginning, and how much more
// there is.
const shownBytes = 64

// printHop prints what the relay saw of one message: the fields that anybody on
// the way can read, then the bytes.
func printHop(w io.Writer, room string, sealed []byte) {
	fmt.Fprintf(w, "What the relay saw, %d bytes for the room %s:\n", len(sealed), shownName(room))
	in, err := envelope.Inspect(sealed)
	if err != nil {
		fmt.Fprintln(w, "  not an envelope, or a damaged one")
		hexLines(w, "unknown", sealed)
		return
	}
	printFields(w, in)
	for _, p := range in.Sections() {
		hexLines(w, p.Name, sealed[p.Offset:p.Offset+p.Size])
	}
}

func printFields(w io.Writer, in envelope.Inspection) {
	h := in.Header
	field := func(name, format string, args ...any) {
		fmt.Fprintf(w, "  %-13s"+format+"\n", append([]any{name}, args...)...)
	}
	field("sender", "%s", grouped(h.Sender))
	field("time", "%s", h.Time.UTC().Format("2006-01-02 15:04:05.000 MST"))
	field("message id", "%s", h.ID)
	field("content type", "%s", safetext.Line(h.ContentType, envelope.MaxContentTypeSize))
	field("context", "%s", safetext.Line(h.Context, envelope.MaxContextSize))
	field("suite", "%s", h.Suite)
	field("sealed to", "%d: %s", len(in.Recipients), shortIDs(in))
	field("text", "hidden: only its length is known, and only up to padding")
}

func shortIDs(in envelope.Inspection) string {
	var ids []string
	for _, id := range in.Recipients[:min(len(in.Recipients), 8)] {
		ids = append(ids, id.String()[:8]+"…")
	}
	return "keys " + strings.Join(ids, " ")
}

// visibility says of each part of an envelope what a hop makes of it.
var visibility = map[string]string{
	"framing":    "clear",
	"header":     "clear",
	"recipients": "names of keys clear, the rest sealed",
	"body":       "sealed",
	"proof":      "signature",
}

// hexLines prints a part sixteen bytes a line, with what in it is readable.
func hexLines(w io.Writer, name string, b []byte) {
	fmt.Fprintf(w, "  %s, %d bytes", name, len(b))
	if what := visibility[name]; what != "" {
		fmt.Fprintf(w, " (%s)", what)
	}
	fmt.Fprintln(w)
	shown := b[:min(len(b), shownBytes)]
	for len(shown) > 0 {
		line := shown[:min(len(shown), 16)]
		fmt.Fprintf(w, "    % -47x  %s\n", line, readable(line))
		shown = shown[len(line):]
	}
	if more := len(b) - shownBytes; more > 0 {
		fmt.Fprintf(w, "    … %d more\n", more)
	}
}

func readable(b []byte) string {
	text := make([]byte, len(b))
	for i, c := range b {
		text[i] = '.'
		if c >= ' ' && c <= '~' {
			text[i] = c
		}
	}
	return string(text)
}
