package repo

import (
	"context"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

const (
	symbolic      = models + "/symbolic"
	symbolicTests = "HOPSEAL_PROVERIF_TESTS" // require: fail where there is no ProVerif
	quick         = 3 * time.Second          // rows that take longer run with HOPSEAL_LONG_TESTS
)

// symbolicRun is a row of README.md's table: one model, under one leak, without some of
// its rules, and what ProVerif says about each query.
type symbolicRun struct {
	model, leak string
	without     []string
	results     string
	takes       time.Duration
}

func (r symbolicRun) String() string {
	return strings.Join(append([]string{r.model, r.leak}, r.without...), "/")
}

var (
	symbolicRow = regexp.MustCompile("(?m)^\\| `([a-z-]+)` \\| `([a-z-]+)` \\|([A-Z0-9_` ]*)\\| ([a-z ]+) \\| (\\d+) s \\|")
	libraries   = regexp.MustCompile(`\A\(\* ([a-zA-Z -]+) \*\)\n`)
	marked      = regexp.MustCompile(`\(\* [-+]([A-Z0-9_]+)`)
	result      = regexp.MustCompile(`(?m)^RESULT [^(].*?(is true|is false|cannot be proved)\.$`)
	proverif205 = regexp.MustCompile(`(?i)proverif (\d+)\.(\d+)`)
)

// README.md's table of symbolic models: ProVerif says what stands there, with all rules
// and without some of them.
func TestSymbolicModels(t *testing.T) {
	if missing := noProVerif(); missing != "" {
		if os.Getenv(symbolicTests) == "require" {
			t.Fatal(missing)
		}
		t.Skip(missing)
	}
	for _, r := range symbolicRuns(t) {
		if r.takes > quick && os.Getenv("HOPSEAL_LONG_TESTS") == "" {
			continue
		}
		t.Run(r.String(), func(t *testing.T) {
			if got, out := prove(t, r); got != r.results {
				t.Errorf("ProVerif says %q, README.md %q\n%s", got, r.results, out)
			}
		})
	}
}

// Each file stands behind a row, and each rule of each file has one that goes without it;
// and no row is of anything else.
func TestSymbolicRowsAreOfWhatIsThere(t *testing.T) {
	named, have := make(map[string]bool), make(map[string]bool)
	for _, r := range symbolicRuns(t) {
		for _, name := range append(symbolicLibraries(t, r), r.model+".pv") {
			named[name] = true
		}
		for _, rule := range r.without {
			files := changed(t, r, rule)
			if len(files) == 0 {
				t.Errorf("%s has no rule %s", r, rule)
			}
			for _, name := range files {
				named[name+" "+rule] = true
			}
		}
	}
	for name, text := range symbolicFiles(t) {
		have[name] = true
		for _, m := range marked.FindAllStringSubmatch(text, -1) {
			have[name+" "+m[1]] = true
		}
	}
	if !maps.Equal(named, have) {
		t.Errorf("README.md has rows for %q,\nwhat is there is %q", slices.Sorted(maps.Keys(named)), slices.Sorted(maps.Keys(have)))
	}
}

// changed returns the files of a run that are others without one rule.
func changed(t *testing.T, r symbolicRun, rule string) []string {
	t.Helper()
	r.without = nil
	whole := symbolicText(t, r)
	r.without = []string{rule}
	var names []string
	for name, text := range symbolicText(t, r) {
		if text != whole[name] {
			names = append(names, name)
		}
	}
	return names
}

// noProVerif says what is missing, if something is.
func noProVerif() string {
	out, _ := exec.Command("proverif", "-help").CombinedOutput()
	m := proverif205.FindSubmatch(out)
	if m == nil {
		return "no proverif found: put ProVerif 2.05 or later on the path"
	}
	major, _ := strconv.Atoi(string(m[1]))
	minor, _ := strconv.Atoi(string(m[2]))
	if major < 2 || major == 2 && minor < 5 {
		return fmt.Sprintf("%s is too old: put ProVerif 2.05 or later on the path", m[0])
	}
	return ""
}

func symbolicRuns(t *testing.T) []symbolicRun {
	t.Helper()
	var runs []symbolicRun
	for _, m := range symbolicRow.FindAllStringSubmatch(read(t, models+"/README.md"), -1) {
		seconds, _ := strconv.Atoi(m[5])
		runs = append(runs, symbolicRun{
			model:   m[1],
			leak:    m[2],
			without: strings.Fields(strings.ReplaceAll(m[3], "`", " ")),
			results: m[4],
			takes:   time.Duration(seconds) * time.Second,
		})
	}
	if len(runs) < 30 {
		t.Fatalf("README.md has %d rows of symbolic models", len(runs))
	}
	return runs
}

// prove runs ProVerif and returns what it says about each query, in order, and all that
// it prints.
func prove(t *testing.T, r symbolicRun) (string, string) {
	t.Helper()
	dir := t.TempDir()
	for name, text := range symbolicText(t, r) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute+20*r.takes)
	defer cancel()
	var args []string
	for _, l := range symbolicLibraries(t, r) {
		args = append(args, "-lib", l)
	}
	c := exec.CommandContext(ctx, "proverif", append(args, r.model+".pv")...)
	c.Dir = dir
	out, err := c.CombinedOutput()
	if err != nil {
		t.Fatalf("proverif: %v\n%s", err, out)
	}
	var results []string
	for _, m := range result.FindAllSubmatch(out, -1) {
		words := strings.Fields(string(m[1]))
		results = append(results, strings.ReplaceAll(words[len(words)-1], "proved", "unproved"))
	}
	return strings.Join(results, " "), string(out)
}

// symbolicText returns the files of a run, by name, without the rules that it goes without.
func symbolicText(t *testing.T, r symbolicRun) map[string]string {
	t.Helper()
	files := symbolicFiles(t)
	text := make(map[string]string)
	for _, name := range append(symbolicLibraries(t, r), r.model+".pv") {
		whole, found := files[name]
		if !found {
			t.Fatalf("%s needs %s, which is not there", r, name)
		}
		text[name] = without(whole, r.without)
	}
	return text
}

// symbolicLibraries returns what the first line of a model names, in order; the leak takes
// the place of the word LEAK.
func symbolicLibraries(t *testing.T, r symbolicRun) []string {
	t.Helper()
	m := libraries.FindStringSubmatch(read(t, symbolic+"/"+r.model+".pv"))
	if m == nil {
		t.Fatalf("%s.pv names no libraries in its first line", r.model)
	}
	var names []string
	for _, name := range strings.Fields(m[1]) {
		if name == "LEAK" {
			name = r.leak
		}
		names = append(names, name+".pvl")
	}
	return names
}

// without takes rules out of a model: lines with the mark -RULE go, what stands behind a
// mark +RULE comes.
func without(text string, rules []string) string {
	for _, rule := range rules {
		gone := regexp.MustCompile(`(?m)^.*\(\* -` + rule + ` \*\).*\n`)
		comes := regexp.MustCompile(`(?m)^( *)\(\* \+` + rule + `: (.*) \*\)$`)
		text = comes.ReplaceAllString(gone.ReplaceAllString(text, ""), "$1$2")
	}
	return text
}

// symbolicFiles returns the text of all files of the symbolic models.
func symbolicFiles(t *testing.T) map[string]string {
	t.Helper()
	entries, err := os.ReadDir(filepath.Join(root, symbolic))
	if err != nil {
		t.Fatal(err)
	}
	files := make(map[string]string)
	for _, e := range entries {
		files[e.Name()] = read(t, symbolic+"/"+e.Name())
	}
	return files
}
