package repo

import (
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/hopseal/hopseal/internal/label"
)

// The session's specification lists its labels, all of them and no others.
func TestLabelsAreSpecified(t *testing.T) {
	_, section, _ := strings.Cut(read(t, "docs/protocol-session.md"), "\n## Labels\n")
	section, _, _ = strings.Cut(section, "\n## ")
	var listed, made []string
	for _, m := range regexp.MustCompile("`([a-z ]+[a-z])`").FindAllStringSubmatch(section, -1) {
		listed = append(listed, m[1])
	}
	for _, l := range label.All() {
		if name, ok := strings.CutPrefix(string(l), "hopseal/1 session "); ok {
			made = append(made, strings.TrimSuffix(name, "\x00"))
		}
	}
	slices.Sort(listed)
	slices.Sort(made)
	if !slices.Equal(listed, made) {
		t.Errorf("listed are\n%q, there are\n%q", listed, made)
	}
}

// So are those of keys and envelopes.
func TestKeysAndEnvelopesNameTheirLabels(t *testing.T) {
	var named, made []string
	for _, m := range regexp.MustCompile(`L\("([^"]+)"\)`).FindAllStringSubmatch(read(t, "docs/protocol.md"), -1) {
		named = append(named, m[1])
	}
	for _, l := range label.All() {
		name := strings.TrimSuffix(strings.TrimPrefix(string(l), "hopseal/1 "), "\x00")
		if layer, _, _ := strings.Cut(name, " "); l != label.StoreControl && (layer == "keys" || layer == "envelope") {
			made = append(made, name)
		}
	}
	slices.Sort(named)
	slices.Sort(made)
	if named = slices.Compact(named); !slices.Equal(named, made) {
		t.Errorf("named are\n%q, there are\n%q", named, made)
	}
}

// repeatsLabel is JavaScript that has a label of its own.
var repeatsLabel = map[string]label.Label{"wasm/npm/record.js": label.PageStore, "wasm/npm/sessionstore.js": label.PageSessions}

// A04: labels are held against each other in package label, so all stand there.
func TestLabelsStandInOnePlace(t *testing.T) {
	literal := regexp.MustCompile(`["'` + "`" + `]hopseal/\d+ [^"'` + "`" + `]*["'` + "`" + `]`)
	for _, name := range files(t) {
		ext := filepath.Ext(name)
		if name == "internal/label/label.go" || isVector(name) || !seedless(name) || ext != ".go" && ext != ".js" && ext != ".mjs" {
			continue
		}
		for _, found := range literal.FindAllString(read(t, name), -1) {
			want := strings.TrimSuffix(string(repeatsLabel[name]), "\x00")
			if got := strings.TrimRight(strings.Trim(found, "\"'`"), `\x0`); got != want {
				t.Errorf("%s has a label of its own, %s: put it into package label", name, found)
			}
		}
	}
}
