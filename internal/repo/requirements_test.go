package repo

import (
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const (
	requirements = "docs/requirements.md"
	indexBegins  = "<!-- index -->\n"
	indexEnds    = "<!-- /index -->"
)

var (
	requirement    = regexp.MustCompile(`(?m)^- (A\d\d) `)
	number         = regexp.MustCompile(`\bA\d\d\b`)
	goTest         = regexp.MustCompile(`(?m)^func ((?:Test|Fuzz)(A\d\d)\w*)\(`)
	javaScriptTest = regexp.MustCompile("(?m)^\\s*test\\([\"'`](A\\d\\d) ")
)

// Each requirement has a test that bears its number, or waits for its layer, and no
// test bears a number that stands for nothing.
func TestEveryRequirementHasATest(t *testing.T) {
	text := read(t, requirements)
	tests := numberedTests(t)
	waiting := number.FindAllString(section(text, "## Waiting"), -1)
	var stated []string
	for _, m := range requirement.FindAllStringSubmatch(text, -1) {
		stated = append(stated, m[1])
		has, waits := len(tests[m[1]]) > 0, slices.Contains(waiting, m[1])
		switch {
		case has && waits:
			t.Errorf("%s has the test %s and still stands under Waiting", m[1], tests[m[1]][0])
		case !has && !waits:
			t.Errorf("no test bears the number %s", m[1])
		}
	}
	if !slices.IsSorted(stated) || len(slices.Compact(stated)) != len(stated) || len(stated) < 65 {
		t.Errorf("the numbers are %v", stated)
	}
	for n, names := range tests {
		if !slices.Contains(stated, n) {
			t.Errorf("%s bears a number that %s does not have", names[0], requirements)
		}
	}
}

// The index in the document is the one that the tests make.
func TestRequirementsIndex(t *testing.T) {
	text := read(t, requirements)
	before, rest, found := strings.Cut(text, indexBegins)
	_, after, ends := strings.Cut(rest, indexEnds)
	if !found || !ends {
		t.Fatalf("%s has no index", requirements)
	}
	want := before + indexBegins + index(numberedTests(t)) + indexEnds + after
	if os.Getenv("HOPSEAL_WRITE_INDEX") != "" {
		if err := os.WriteFile(filepath.Join(root, requirements), []byte(want), 0o666); err != nil {
			t.Fatal(err)
		}
		return
	}
	if text != want {
		t.Errorf("the index of %s is old: run HOPSEAL_WRITE_INDEX=1 go test -run TestRequirementsIndex ./internal/repo", requirements)
	}
}

// index is a table with a line for each number: how many tests it has, and where.
func index(tests map[string][]string) string {
	var b strings.Builder
	b.WriteString("| | tests |\n| --- | --- |\n")
	for _, n := range slices.Sorted(maps.Keys(tests)) {
		fmt.Fprintf(&b, "| %s | %s |\n", n, strings.Join(tests[n], "<br>"))
	}
	return b.String()
}

// The threat model says what is dropped and when, of each kind of secret, and that Go
// cannot promise more.
func TestA46ErasureIsNotPromised(t *testing.T) {
	text := read(t, "docs/threat-model.md")
	if !strings.Contains(text, "Go cannot promise erasure.") {
		t.Error("the threat model does not say that Go cannot promise erasure")
	}
	table := section(text, "## What is dropped, and when")
	for _, secret := range []string{"handshake", "generation", "resume secret", "message or stream", "master key", "passphrase", "private keys", "not acknowledged"} {
		if !strings.Contains(table, secret) {
			t.Errorf("the threat model does not say when it drops: %s", secret)
		}
	}
}

// numberedTests returns, by number, for each folder the tests that bear it.
func numberedTests(t *testing.T) map[string][]string {
	byFolder := make(map[string]map[string][]string)
	add := func(n, folder, name string) {
		if byFolder[n] == nil {
			byFolder[n] = make(map[string][]string)
		}
		byFolder[n][folder] = append(byFolder[n][folder], name)
	}
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return skipForeign(d, err)
		}
		folder, _ := filepath.Rel(root, filepath.Dir(path))
		folder = filepath.ToSlash(folder)
		switch {
		case strings.HasSuffix(path, "_test.go"):
			for _, m := range goTest.FindAllStringSubmatch(read(t, filepath.Join(folder, d.Name())), -1) {
				add(m[2], folder, m[1])
			}
		case strings.HasSuffix(path, ".test.mjs"):
			for _, m := range javaScriptTest.FindAllStringSubmatch(read(t, filepath.Join(folder, d.Name())), -1) {
				add(m[1], folder, d.Name())
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return lines(byFolder)
}

func skipForeign(d fs.DirEntry, err error) error {
	if err == nil && d.IsDir() && (d.Name() == "node_modules" || d.Name() == ".git") {
		return fs.SkipDir
	}
	return err
}

func lines(byFolder map[string]map[string][]string) map[string][]string {
	out := make(map[string][]string)
	for n, folders := range byFolder {
		for _, folder := range slices.Sorted(maps.Keys(folders)) {
			names := folders[folder]
			slices.Sort(names)
			out[n] = append(out[n], fmt.Sprintf("`%s`: %s", folder, strings.Join(slices.Compact(names), ", ")))
		}
	}
	return out
}

// section returns what stands under a heading.
func section(text, heading string) string {
	_, rest, _ := strings.Cut(text, heading+"\n")
	rest, _, _ = strings.Cut(rest, "\n## ")
	return rest
}
