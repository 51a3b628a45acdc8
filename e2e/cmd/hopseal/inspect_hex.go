//go:build !js

package main

import (
	"fmt"
	"io"

	"github.com/hopseal/hopseal/envelope"
)

// A hexView shows bytes, sixteen a line, and names the field that each belongs to.
type hexView struct {
	window window
	parts  []envelope.Part
	all    bool
}

// How much is shown where not all is.
const (
	shownWhole      = 64 // a field of as many bytes is shown whole
	shownBytes      = 48 // of a longer one
	shownRecipients = 3
)

func (v *hexView) print(w io.Writer) {
	fmt.Fprintf(w, "%-8s  %-8s  %-47s  %s\n", "OFFSET", "HEAD", "BYTES", "FIELD")
	recipient, skipped := 0, int64(0)
	for i, p := range v.parts {
		name := p.Name
		if p.Name == "recipient key id" {
			recipient++
		}
		if recipient > 0 && p.Section == "recipients" {
			name = fmt.Sprint(name, " ", recipient)
			if recipient > shownRecipients && !v.all {
				skipped += p.Size
				if v.parts[i+1].Section != "recipients" {
					fmt.Fprintf(w, "%-18s  … %d more recipients, %s\n", "", recipient-shownRecipients, sizeText(skipped))
				}
				continue
			}
		}
		v.part(w, p, name)
	}
}

// part prints one field. What only tells the size of the next stands under BYTES.
func (v *hexView) part(w io.Writer, p envelope.Part, name string) {
	head := p.Head
	if int64(head) == p.Size {
		head = 0
	}
	n := p.Size - int64(head)
	if n > shownWhole && (!v.all || p.Section == "segments") {
		n = shownBytes
	}
	front := fmt.Sprintf("% x", v.window.at(p.Offset, head))
	b := v.window.at(p.Offset+int64(head), int(n))
	for at := 0; at < len(b); at += 16 {
		offset := p.Offset
		if at > 0 {
			offset += int64(head + at)
		}
		line := fmt.Sprintf("%08x  %-8s  %-47s", offset, front, fmt.Sprintf("% x", b[at:min(at+16, len(b))]))
		if name != "" {
			line += "  " + name
		}
		fmt.Fprintln(w, line)
		front, name = "", ""
	}
	if more := p.Size - int64(head+len(b)); more > 0 {
		fmt.Fprintf(w, "%-18s  … %d more\n", "", more)
	}
}
