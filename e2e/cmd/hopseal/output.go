//go:build !js

package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"time"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/hopseal/hopseal/internal/safetext"
)

// A result is what a command found or did. Its JSON fields are documented in
// docs/keys.md and stay as they are.
type result interface {
	text(io.Writer)
}

// print writes a result as text, or as JSON for -json.
func (c *call) print(r result) error {
	var b bytes.Buffer
	if !c.json {
		r.text(&b)
	} else if err := writeJSON(&b, r); err != nil {
		return err
	}
	if _, err := b.WriteTo(c.stdout); err != nil {
		return fmt.Errorf("the output was not written: %w", err)
	}
	return nil
}

// writeJSON writes ASCII only, so that text from outside cannot steer a terminal
// (A47), and loses nothing.
func writeJSON(w *bytes.Buffer, r result) error {
	b, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	for len(b) > 0 {
		r, size := utf8.DecodeRune(b)
		switch {
		case r == 0x7f || r > 0x7f && r <= 0xffff:
			fmt.Fprintf(w, `\u%04x`, r)
		case r > 0xffff:
			high, low := utf16.EncodeRune(r)
			fmt.Fprintf(w, `\u%04x\u%04x`, high, low)
		default:
			w.WriteByte(b[0])
		}
		b = b[size:]
	}
	return w.WriteByte('\n')
}

// moment returns a time as results have it: UTC, to the second, nil for the zero time.
func moment(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC().Truncate(time.Second)
	return &t
}

func timeText(t *time.Time) string {
	if t == nil {
		return "never"
	}
	return t.Format(time.RFC3339)
}

// shown makes text from outside safe to show.
func shown(s string) string { return safetext.Line(s, 200) }
