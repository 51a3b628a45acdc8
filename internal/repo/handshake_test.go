package repo

import (
	"regexp"
	"testing"
)

// The argument for the handshake names tests for what it claims. They are there.
func TestHandshakeNamesRealTests(t *testing.T) {
	named := regexp.MustCompile("`((?:Test|Fuzz)[A-Za-z0-9]+)`").FindAllStringSubmatch(read(t, "docs/handshake.md"), -1)
	if len(named) < 30 {
		t.Errorf("docs/handshake.md names %d tests", len(named))
	}
	written := make(map[string]bool)
	for _, folder := range []string{"internal/engine", "internal/label", "internal/repo", "e2e", "keys", "envelope"} {
		for _, m := range regexp.MustCompile(`(?m)^func ((?:Test|Fuzz)\w+)\(`).FindAllSubmatch(tests(t, folder), -1) {
			written[string(m[1])] = true
		}
	}
	for _, m := range named {
		if !written[m[1]] {
			t.Errorf("docs/handshake.md names %s, which is not there", m[1])
		}
	}
}
