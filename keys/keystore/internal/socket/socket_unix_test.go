//go:build unix

package socket

import (
	"os"
	"testing"
)

// Only the process's own user and root may make requests.
func TestWhoIsAllowed(t *testing.T) {
	uid := uint32(os.Geteuid())
	if Allowed(uid) != nil || Allowed(0) != nil {
		t.Error("the same user or root is turned away")
	}
	if Allowed(uid+1) == nil {
		t.Error("another user is heard")
	}
}
