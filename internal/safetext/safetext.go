// Package safetext makes text from outside safe to show on a terminal, in a log
// or in an error (requirement A47).
//
// A name, a message or a close reason chosen by a stranger may hold an escape
// sequence that rewrites the screen, a line feed that forges a log entry, or a
// bidirectional control that makes a line read as something else. Here all of
// these come out as visible escapes such as \n, \x1b and \u202e. The result is
// for people: it cannot be parsed back, and it is not meant for HTML.
package safetext

import (
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Line returns s as one line of printable text of at most limit characters; an
// escape counts as several. Where something was left off it ends in "…", which
// the limit does not count.
func Line(s string, limit int) string {
	var out strings.Builder
	for room := limit; len(s) > 0; {
		r, size := utf8.DecodeRuneInString(s)
		piece := show(r, s[:size])
		if room -= utf8.RuneCountInString(piece); room < 0 {
			out.WriteString("…")
			break
		}
		out.WriteString(piece)
		s = s[size:]
	}
	return out.String()
}

// Quote is [Line] between double quotes, for a place where the reader must see
// where the foreign text starts and ends. Quotes inside come out as \".
func Quote(s string, limit int) string {
	return `"` + strings.ReplaceAll(Line(s, limit), `"`, `\"`) + `"`
}

// show returns the visible form of one character, or of one byte that is not
// UTF-8.
func show(r rune, raw string) string {
	if r == utf8.RuneError && len(raw) == 1 || !strconv.IsPrint(r) || blank(r) {
		quoted := strconv.QuoteToASCII(raw)
		return quoted[1 : len(quoted)-1]
	}
	return raw
}

// Invisible reports whether r shows nothing: space, controls, marks of a byte order or a direction, and
// what blank reports. Tags, of which some flags consist, are not among them.
func Invisible(r rune) bool {
	isTag := r > 0xe0000 && r < 0xe0080
	return unicode.IsSpace(r) || unicode.IsControl(r) || unicode.Is(unicode.Cf, r) && !isTag || blank(r)
}

// blank reports characters that Unicode calls letters or symbols and that show
// nothing at all, so that two names may look the same.
func blank(r rune) bool {
	switch r {
	case '\u115f', '\u1160', '\u2800', '\u3164', '\uffa0':
		return true
	}
	return false
}
