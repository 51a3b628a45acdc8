//go:build unix

package agent

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// checkDirectory refuses a socket whose directory others can enter or change: they could put their
// own socket in its place.
func checkDirectory(path string) error {
	dir := filepath.Dir(path)
	info, err := os.Stat(dir)
	if err != nil {
		return fmt.Errorf("agent: %w: make the directory first, with mode 0700", err)
	}
	if !info.IsDir() || !mine(info) {
		return agentError(dir, ErrNotPrivate, "run chmod 700 on a directory of your own, and nothing else in it")
	}
	return nil
}

// checkSocket refuses to ask an agent that another user may have put there.
func checkSocket(path string) error {
	info, err := os.Lstat(path)
	if err != nil {
		return fmt.Errorf("%w (%w)", agentError(path, ErrGone, "start it"), err)
	}
	if info.Mode().Type() != fs.ModeSocket {
		return agentError(path, ErrGone, "it is not a socket")
	}
	if !mine(info) {
		return agentError(path, ErrNotPrivate, "only its owner may open it: run chmod 600")
	}
	return checkDirectory(path)
}

func mine(info fs.FileInfo) bool {
	s, ok := info.Sys().(*syscall.Stat_t)
	return ok && int(s.Uid) == os.Geteuid() && info.Mode().Perm()&0o077 == 0
}
