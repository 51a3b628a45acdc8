package repo

import (
	"bytes"
	"go/format"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const root = "../.."

func read(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(root, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// The top level explains the system; nothing else belongs there.
func TestTopLevel(t *testing.T) {
	want := []string{"CHANGELOG.md", "CONTRIBUTING.md", "LICENSE", "README.md", "SECURITY.md", "docs", "e2e", "envelope", "examples", "go.mod", "go.sum", "internal", "keys", "transport", "wasm"}
	entries, err := os.ReadDir(root)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), ".") {
			got = append(got, e.Name())
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("top level is %v, want %v", got, want)
	}
}

// The map of the documents leads to each of them.
func TestMapOfTheDocuments(t *testing.T) {
	text := read(t, "docs/README.md")
	entries, err := os.ReadDir(filepath.Join(root, "docs"))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if name := e.Name(); e.IsDir() && !strings.Contains(text, "]("+name+"/") || filepath.Ext(name) == ".md" && name != "README.md" && !strings.Contains(text, "]("+name+")") {
			t.Errorf("docs/README.md does not lead to %s", name)
		}
	}
}

// What CONTRIBUTING.md has people type is what there is.
func TestContributorsCommands(t *testing.T) {
	script := read(t, ".ci/run")
	for _, line := range strings.Split(strings.Join(blocks(read(t, "CONTRIBUTING.md"), "sh"), "\n"), "\n") {
		command, what, _ := strings.Cut(line, "#")
		words := strings.Fields(command)
		if len(words) == 0 || words[0] == "go" {
			continue
		}
		if words[0] != ".ci/run" {
			t.Errorf("%q is not checked", command)
		}
		steps := words[1:]
		if _, all, found := strings.Cut(what, "some steps of it: "); found {
			steps = append(steps, strings.Fields(all)...)
		}
		for _, s := range steps {
			if !strings.Contains(script, s+"()") && !strings.Contains(script, "= "+s+" ]") && s != "wasm" {
				t.Errorf("%q: .ci/run has no %s", command, s)
			}
		}
	}
}

// A link in a document leads to a file that there is.
func TestLinksLead(t *testing.T) {
	link := regexp.MustCompile(`\]\(([^)#\s]+)(?:#[^)]*)?\)`)
	for _, pattern := range []string{"*.md", "docs/*.md", "docs/*/*.md", "examples/*.md", "wasm/npm/*.md"} {
		files, err := filepath.Glob(filepath.Join(root, pattern))
		if err != nil || len(files) == 0 {
			t.Fatalf("%s: %v", pattern, err)
		}
		for _, f := range files {
			b, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range link.FindAllStringSubmatch(string(b), -1) {
				if _, err := os.Stat(filepath.Join(filepath.Dir(f), m[1])); err != nil && !strings.Contains(m[1], "://") {
					t.Errorf("%s leads to %s, which there is not", f, m[1])
				}
			}
		}
	}
}

// blocks returns the fenced code blocks of one language.
func blocks(text, language string) []string {
	var out []string
	for _, m := range regexp.MustCompile("(?ms)^```(\\w*)\n(.*?)^```").FindAllStringSubmatch(text, -1) {
		if m[1] == language {
			out = append(out, m[2])
		}
	}
	return out
}

// The Go code of the README and of the guide to fronts is the body of an Example that
// runs with the tests.
func TestGoInDocumentsIsAnExample(t *testing.T) {
	var found []string
	for _, name := range []string{"README.md", "docs/deploy.md"} {
		inIt := blocks(read(t, name), "go")
		if len(inIt) == 0 {
			t.Fatalf("%s shows no Go", name)
		}
		found = append(found, inIt...)
	}
	files, err := filepath.Glob(filepath.Join(root, "*", "example*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	var examples strings.Builder
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		examples.WriteString(squeeze(string(b)))
	}
	for _, b := range found {
		if _, err := format.Source([]byte(b)); err != nil {
			t.Errorf("does not parse: %v\n%s", err, b)
		}
		if !strings.Contains(examples.String(), squeeze(b)) {
			t.Errorf("stands in no Example:\n%s", b)
		}
	}
}

func squeeze(s string) string { return strings.Join(strings.Fields(s), " ") }

// executed maps each command in the documents to what runs it.
var executed = map[string]string{
	"go run ./examples/chat": "examples/chat: TestREADMECommand",
	"go run ./examples/echo": "examples/echo: TestREADMECommand",
	"go test ./...":          ".ci/run",
}

func TestEveryCommandIsExecuted(t *testing.T) {
	for _, command := range strings.Split(strings.Join(blocks(read(t, "README.md"), "sh"), "\n"), "\n") {
		command, _, _ = strings.Cut(command, "#")
		if command = strings.TrimSpace(command); command == "" {
			continue
		}
		by, known := executed[command]
		if !known {
			t.Errorf("%q in the README is run by no test", command)
			continue
		}
		folder, test, _ := strings.Cut(by, ": ")
		if folder == ".ci/run" {
			if !strings.Contains(read(t, folder), "raced ./...") {
				t.Errorf("%q is not run by %s", command, by)
			}
			continue
		}
		if !bytes.Contains(tests(t, folder), []byte("func "+test+"(")) {
			t.Errorf("%q: there is no %s", command, by)
		}
	}
}

func tests(t *testing.T, folder string) []byte {
	t.Helper()
	files, _ := filepath.Glob(filepath.Join(root, folder, "*_test.go"))
	var all []byte
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, b...)
	}
	return all
}

// Links between documents, and to code, lead somewhere.
func TestLinksLeadSomewhere(t *testing.T) {
	var documents []string
	err := filepath.WalkDir(root, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() && (d.Name() == "node_modules" || d.Name() == ".git") {
			return filepath.SkipDir
		}
		if filepath.Ext(path) == ".md" {
			documents = append(documents, path)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	link := regexp.MustCompile(`\]\(([^)#]+)[^)]*\)|src="([^"]+)"`)
	for _, d := range documents {
		b, err := os.ReadFile(d)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range link.FindAllStringSubmatch(string(b), -1) {
			to := m[1] + m[2]
			if strings.Contains(to, "://") {
				continue
			}
			if _, err := os.Stat(filepath.Join(filepath.Dir(d), to)); err != nil {
				t.Errorf("%s links to %s, which is not there", d, to)
			}
		}
	}
}
