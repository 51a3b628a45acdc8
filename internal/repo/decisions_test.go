package repo

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

var (
	decisionBegins = regexp.MustCompile(`(?m)^(\d+)\. \*\*((?:[^*]|\*[^*])+)\*\*`)
	nextDecision   = regexp.MustCompile(`The next number is (\d+)\.`)
)

// A number names one decision, for good: none is missing, given twice, or out of order.
// The index lists them all. HOPSEAL_WRITE_INDEX=1 writes it anew.
func TestDecisionsAreNumberedOnce(t *testing.T) {
	index, files := "docs/decisions/README.md", parts(t)
	titles, in := make(map[int]string), make(map[int]string)
	for _, name := range files {
		last := 0
		for _, m := range decisionBegins.FindAllStringSubmatch(read(t, "docs/decisions/"+name), -1) {
			n, _ := strconv.Atoi(m[1])
			if in[n] != "" {
				t.Errorf("decision %d stands in %s and in %s", n, in[n], name)
			}
			if n <= last {
				t.Errorf("%s: decision %d stands behind %d", name, n, last)
			}
			last, in[n], titles[n] = n, name, strings.Join(strings.Fields(strings.TrimSuffix(m[2], ".")), " ")
		}
		if last == 0 {
			t.Errorf("%s has no decision", name)
		}
	}
	var rows strings.Builder
	for n := 1; n <= len(in); n++ {
		if in[n] == "" {
			t.Errorf("there is no decision %d", n)
		}
		fmt.Fprintf(&rows, "| %d | %s | [%s](%s) |\n", n, titles[n], strings.TrimSuffix(in[n], ".md"), in[n])
	}
	const table = "| | decision | in |\n| --- | --- | --- |\n"
	text := read(t, index)
	before, _, _ := strings.Cut(text, table)
	before = nextDecision.ReplaceAllString(before, fmt.Sprintf("The next number is %d.", len(in)+1))
	want := before + table + rows.String()
	if os.Getenv("HOPSEAL_WRITE_INDEX") != "" {
		if err := os.WriteFile(filepath.Join(root, index), []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	} else if text != want {
		t.Errorf("%s is old: HOPSEAL_WRITE_INDEX=1 go test -run TestDecisionsAreNumberedOnce ./internal/repo", index)
	}
	for _, name := range files {
		if !strings.Contains(before, "]("+name+")") {
			t.Errorf("%s does not say what %s is about", index, name)
		}
	}
}

func parts(t *testing.T) (names []string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(root, "docs/decisions/*.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		names = append(names, filepath.Base(f))
	}
	return slices.DeleteFunc(names, func(n string) bool { return n == "README.md" })
}
