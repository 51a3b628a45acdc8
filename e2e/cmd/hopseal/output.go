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
	"github.com/hopseal/hopseal/keys"
)

// A result is what a command found or did. Its JSON fields are documented in
// docs/keys.md and stay as they are.
type result interface {
	text(io.Writer)
}

// print writes a result as the caller wants it.
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

// moment is a time in results: UTC, to the second, absent where it has not come.
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

// identityResult is what everybody may know of an identity.
type identityResult struct {
	Name        string     `json:"name"`
	Fingerprint string     `json:"fingerprint"`
	Serial      uint64     `json:"serial"`
	Issued      *time.Time `json:"issued"`
	Expires     *time.Time `json:"expires"`
	Revoked     bool       `json:"revoked"`
	State       string     `json:"state"` // valid, expired, not yet valid, revoked
}

func describe(p *keys.PublicIdentity) identityResult {
	return identityResult{p.Name(), p.Fingerprint().String(), p.Serial(), moment(p.Issued()), moment(p.Expires()), p.Revoked(), stateOf(p, time.Now())}
}

func (r identityResult) text(w io.Writer) {
	fmt.Fprintf(w, "identity     %s\nfingerprint  %s\n", shown(r.Name), r.Fingerprint)
	r.statementText(w, time.Now())
}

// keyResult is one key without its secret.
type keyResult struct {
	Use      string     `json:"use"`
	Keyset   string     `json:"keyset,omitempty"`
	Key      uint32     `json:"key"`
	WireID   string     `json:"wire_id"`
	Stage    string     `json:"stage"`
	Created  *time.Time `json:"created"`
	Promoted *time.Time `json:"promoted,omitempty"`
	Retired  *time.Time `json:"retired,omitempty"`
	Archived *time.Time `json:"archived,omitempty"`
}

func describeKey(keyset string, k keys.KeyInfo) keyResult {
	return keyResult{k.Use.String(), keyset, k.TinkID, k.ID, k.Stage.String(),
		moment(k.Created), moment(k.Promoted), moment(k.Retired), moment(k.Archived)}
}

// set names the keyset that the key is in.
func (r keyResult) set() string {
	if r.Keyset == "" {
		return r.Use
	}
	return "shared " + safetext.Quote(r.Keyset, 200)
}

// since is when the key came to its stage.
func (r keyResult) since() *time.Time {
	for _, t := range []*time.Time{r.Archived, r.Retired, r.Promoted} {
		if t != nil {
			return t
		}
	}
	return r.Created
}
