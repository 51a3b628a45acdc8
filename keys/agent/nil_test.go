//go:build unix

package agent

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/hopseal/hopseal/internal/nilargs"
	"github.com/hopseal/hopseal/keys"
)

// TestNothingPanicsOnNil gives every function and method nil for each argument.
func TestNothingPanicsOnNil(t *testing.T) {
	nilargs.Table{}.Check(t) // nothing takes more than a context
	path := filepath.Join(privateDir(t), "agent")
	for name, k := range map[string]Key{"no signer": {For: Messages}, "no key": {Local(nil), Messages}, "a short one": {Local([]byte{1}), Messages}} {
		if s, err := Listen(path, k); err == nil || !strings.Contains(err.Error(), "Signer") {
			t.Errorf("%s: %v, %v", name, s, err)
		}
		if k.Signer == nil {
			continue
		}
		if _, err := k.Signer.Sign([]byte("m")); err == nil {
			t.Errorf("%s signs", name)
		}
		if _, err := keys.GenerateIdentityWith("x", k.Signer, nil); err == nil {
			t.Errorf("%s is a root", name)
		}
		if _, err := keys.GenerateIdentityWith("x", Local(newKey()), k.Signer); err == nil {
			t.Errorf("%s signs messages", name)
		}
	}
}
