//go:build !js

package keys

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/hopseal/hopseal/internal/safetext"
)

// errLocked is returned by lockFile where another process holds the lock.
var errLocked = errors.New("locked")

// fileLock is a store's one writer. The lock is on a file beside the store, since
// the store's own file is replaced by every write, and goes with the process.
type fileLock struct{ f *os.File }

func lockStore(path string) (*fileLock, error) {
	f, err := os.OpenFile(path+".lock", os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("keys: %w", err)
	}
	if err := lockFile(f); err != nil {
		defer f.Close()
		if errors.Is(err, errLocked) {
			return nil, fileError(path, ErrStoreInUse, "held by "+holder(f)+": stop it, or ask it to make the change")
		}
		return nil, fmt.Errorf("keys: locking %s: %w", path, err)
	}
	if err := sign(f); err != nil {
		f.Close()
		return nil, fmt.Errorf("keys: locking %s: %w", path, err)
	}
	return &fileLock{f}, nil
}

// sign writes who holds the lock, for the error that the next one gets.
func sign(f *os.File) error {
	host, _ := os.Hostname()
	text := fmt.Sprintf("process %d on %s since %s\n", os.Getpid(), host, time.Now().UTC().Format(time.RFC3339))
	if err := f.Truncate(0); err != nil {
		return err
	}
	_, err := f.WriteAt([]byte(text), 0)
	return err
}

func holder(f *os.File) string {
	b, err := io.ReadAll(io.NewSectionReader(f, 0, 256))
	if text := strings.TrimSpace(string(b)); err == nil && text != "" {
		return safetext.Line(text, 200)
	}
	return "another process"
}

// release leaves the lock file in place: removing it would let two processes lock
// two files of that name.
func (l *fileLock) release() error { return l.f.Close() }
