package safetext

import (
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestA47LineShowsWhatItCannotPrint(t *testing.T) {
	for in, want := range map[string]string{
		"plain text, née Ärger 漢字 🎉":     "plain text, née Ärger 漢字 🎉",
		"\x1b[2J\x1b]0;title\a":          `\x1b[2J\x1b]0;title\a`,
		"\u009b2J":                       `\u009b2J`,
		"one\r\ntwo\tthree":              `one\r\ntwo\tthree`,
		"evil\u202etxt.exe\u2066":        `evil\u202etxt.exe\u2066`,
		"zero\u200bwidth\ufeff":          `zero\u200bwidth\ufeff`,
		"line\u2028para\u2029nbsp\u00a0": `line\u2028para\u2029nbsp\u00a0`,
		"bad \xff\xc0utf8":               `bad \xff\xc0utf8`,
		"nul\x00del\x7f":                 `nul\x00del\x7f`,
		"tag\U000e0041":                  `tag\U000e0041`,
		"filler\u3164":                   `filler\u3164`,
		`back\slash "quoted"`:            `back\slash "quoted"`,
		"\ufffd":                         "\ufffd",
		"":                               "",
	} {
		if got := Line(in, 1000); got != want {
			t.Errorf("Line(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestA47QuoteMarksBothEnds(t *testing.T) {
	if got, want := Quote("a\" b\n", 100), `"a\" b\n"`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestLineIsBounded(t *testing.T) {
	for in, want := range map[string]string{
		"12345":      "12345",
		"123456":     "12345…",
		"ééééé":      "ééééé",
		"1234\n":     "1234…", // an escape is never cut in two
		"123\n":      `123\n`,
		"\x1b\x1b\n": `\x1b…`,
	} {
		if got := Line(in, 5); got != want {
			t.Errorf("Line(%q, 5) = %q, want %q", in, got, want)
		}
	}
	if got := Line("anything", 0); got != "…" {
		t.Errorf("limit 0 gave %q", got)
	}
}

func FuzzA47Line(f *testing.F) {
	f.Add("\x1b[31mred\u202e\n\xff", 20)
	f.Add("plain", 3)
	f.Fuzz(func(t *testing.T, s string, limit int) {
		got := Line(s, limit)
		if !utf8.ValidString(got) {
			t.Fatalf("%q is not UTF-8", got)
		}
		for _, r := range got {
			if !strconv.IsPrint(r) {
				t.Fatalf("%q holds %q", got, r)
			}
		}
		if n := utf8.RuneCountInString(strings.TrimSuffix(got, "…")); n > max(limit, 0) {
			t.Fatalf("%d characters, limit %d", n, limit)
		}
	})
}
