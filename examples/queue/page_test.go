package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// The Go on the page is this module's, and its commands are run by TestPageCommand.
func TestPage(t *testing.T) {
	page, err := os.ReadFile("../../docs/queue.md")
	if err != nil {
		t.Fatal(err)
	}
	var code strings.Builder
	files, _ := filepath.Glob("*.go")
	for _, f := range append(files, "../../envelope/example_test.go") {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		code.WriteString(squeeze(string(b)))
	}
	blocks := regexp.MustCompile("(?ms)^```(\\w*)\n(.*?)^```").FindAllStringSubmatch(string(page), -1)
	if len(blocks) < 4 {
		t.Fatalf("the page has %d blocks", len(blocks))
	}
	commands := map[string]bool{"cd examples/queue": true, `redis-server --port 6390 --bind 127.0.0.1 --dir "$(mktemp -d)" --appendonly yes --maxmemory-policy noeviction --daemonize yes`: true, "go run . -redis localhost:6390": true, "redis-cli -p 6390 shutdown": true}
	for _, b := range blocks {
		switch b[1] {
		case "go":
			if !strings.Contains(code.String(), squeeze(b[2])) {
				t.Errorf("stands in no file:\n%s", b[2])
			}
		case "sh":
			for line := range strings.Lines(b[2]) {
				if line = strings.TrimSpace(line); !commands[line] {
					t.Errorf("no test runs %q", line)
				}
			}
		default:
			t.Errorf("a block of language %q", b[1])
		}
	}
}

func squeeze(s string) string { return strings.Join(strings.Fields(s), " ") }
