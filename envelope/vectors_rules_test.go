//go:build !js

package envelope

import (
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// docs/vectors/rules.md says which vectors show which words of docs/protocol.md.

// A ruleRow is one of its rows. The one of a rule without a vector has three columns.
type ruleRow struct {
	words         string
	opens, refuse []string // patterns
	without       bool
}

var cell = regexp.MustCompile("`([^`]+)`")

func ruleRows(t *testing.T) (rows []ruleRow) {
	t.Helper()
	for _, line := range strings.Split(fileText(t, "../docs/vectors/rules.md"), "\n") {
		cells := strings.Split(strings.ReplaceAll(line, `\|`, "\x00"), "|")
		if len(cells) < 5 || !strings.ContainsAny(cells[1], "123") {
			continue
		}
		row := ruleRow{words: strings.TrimSpace(strings.ReplaceAll(cells[2], "\x00", "|")), without: len(cells) == 5}
		if !row.without {
			row.opens, row.refuse = patterns(cells[3]), patterns(cells[4])
		}
		rows = append(rows, row)
	}
	if len(rows) < 60 {
		t.Fatalf("%d rules", len(rows))
	}
	return rows
}

func patterns(text string) (all []string) {
	for _, m := range cell.FindAllStringSubmatch(text, -1) {
		all = append(all, m[1])
	}
	return all
}

func fileText(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

var spaces = regexp.MustCompile(`\s+`)

func oneLine(text string) string { return strings.TrimSpace(spaces.ReplaceAllString(text, " ")) }

// Each rule is the document's, and has vectors, which exist.
func TestRulesHaveVectors(t *testing.T) {
	document := oneLine(fileText(t, "../docs/protocol.md"))
	files, _ := filepath.Glob(filepath.Join(vectorFolder, "*.json"))
	for _, row := range ruleRows(t) {
		if !strings.Contains(document, row.words) {
			t.Errorf("docs/protocol.md does not say %q", row.words)
		}
		if !row.without && len(row.opens)+len(row.refuse) == 0 {
			t.Errorf("%q has no vector", row.words)
		}
		for prefix, patterns := range map[string][]string{"good-": row.opens, "bad-": row.refuse} {
			for _, p := range patterns {
				if !slices.ContainsFunc(files, func(f string) bool { ok, _ := path.Match(prefix+p+".json", filepath.Base(f)); return ok }) {
					t.Errorf("%q: there is no vector %s%s", row.words, prefix, p)
				}
			}
		}
	}
}

var (
	codeBlock = regexp.MustCompile("(?s)```.*?```")
	paragraph = regexp.MustCompile(`\n\n+`)
	sentence  = regexp.MustCompile(`[.:;] `)
	normative = regexp.MustCompile(`\bMUST\b|\bat most\b|\bat least\b|\bbelow [0-9p]|\brefuses\b`)
)

// sentences are those of sections 1 to 3.6 that bound something or ask for it, and the
// rows of tables that do.
func sentences(document string) (all []string) {
	_, document, _ = strings.Cut(document, "\n## 1. ")
	document, _, _ = strings.Cut(document, "\n### 3.7 ")
	for _, p := range paragraph.Split(codeBlock.ReplaceAllString(document, "\n\n"), -1) {
		var text []string
		for _, line := range strings.Split(p, "\n") {
			if strings.HasPrefix(line, "|") {
				all = append(all, oneLine(line))
			} else {
				text = append(text, line)
			}
		}
		joined := oneLine(strings.Join(text, " "))
		all = append(all, strings.Split(sentence.ReplaceAllStringFunc(joined, func(s string) string { return s[:1] + "\n" }), "\n")...)
	}
	return slices.DeleteFunc(all, func(s string) bool {
		return !normative.MatchString(s) || strings.HasPrefix(s, "| rule |") || strings.HasPrefix(s, "| top bit |")
	})
}

// Each sentence that asks a reader for something, or bounds what it takes, is among the
// rules: who adds one adds its vector.
func TestEverySentenceHasItsRule(t *testing.T) {
	rows, all := ruleRows(t), sentences(fileText(t, "../docs/protocol.md"))
	if len(all) < 40 {
		t.Fatalf("%d sentences", len(all))
	}
	for _, s := range all {
		covered := func(r ruleRow) bool { return strings.Contains(s, r.words) || strings.Contains(r.words, s) }
		if !slices.ContainsFunc(rows, covered) {
			t.Errorf("docs/vectors/rules.md has no row for %q", s)
		}
	}
}
