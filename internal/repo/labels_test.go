package repo

import (
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
