//go:build !js

package sessionstore

import (
	"context"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"os"
	"path/filepath"
	"time"

	"github.com/hopseal/hopseal/internal/filelock"
)

// lock makes its caller the only user of a key's stripe. It waits for that until the context ends.
func (d *dir) lock(ctx context.Context, key string) (unlock func(), _ error) {
	h := fnv.New32a()
	h.Write([]byte(key))
	n := h.Sum32() % stripes
	select {
	case d.mutex[n] <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	f, err := d.openLock(filepath.Join(d.path, fmt.Sprintf("%s%02d", lockPrefix, n)))
	if err == nil {
		if err = waitForFile(ctx, f); err != nil {
			f.Close()
		}
	}
	if err != nil {
		<-d.mutex[n]
		return nil, err
	}
	return func() {
		f.Close() // and the lock with it
		<-d.mutex[n]
	}, nil
}

// How long to wait before another look at a lock that another process holds. The system could wake
// whoever waits for a lock, but then nobody could stop waiting.
const (
	lockLookFirst = time.Millisecond
	lockLookMost  = 32 * time.Millisecond
)

// waitForFile locks a file once nobody else holds its lock. If the context ends before that, the
// error is the context's and names the file.
func waitForFile(ctx context.Context, f *os.File) error {
	for wait := lockLookFirst; ; wait = min(2*wait, lockLookMost) {
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("another process holds the lock %s: %w", f.Name(), err)
		}
		if err := filelock.Lock(f); err != filelock.ErrLocked {
			return err
		}
		select {
		case <-time.After(wait/2 + rand.N(wait)):
		case <-ctx.Done():
		}
	}
}

// openLock opens a lock file, and gives it to the folder's owner. Locks are empty.
func (d *dir) openLock(name string) (*os.File, error) {
	f, info, err := open(name, os.O_RDWR|os.O_CREATE)
	if err != nil {
		return nil, err
	}
	if info.Size() > 0 {
		err = fmt.Errorf("%s is no lock, since it is not empty: remove it", name)
	} else {
		err = d.giveToOwner(f)
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// stripes is how many locks a store has. Keys that share one wait for each other.
const stripes = 64
