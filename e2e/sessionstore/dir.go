//go:build !js

package sessionstore

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"time"

	"github.com/hopseal/hopseal/e2e"
)

// Dir returns a store in a directory, with one file for each session, for each id and for each part.
// The directory is made where it does not exist, for its owner only. Several processes
// may use it at once; on a network file system its locks have to work between machines.
//
// Files have mode 0600 and are replaced whole: whenever a process or the machine stops,
// each is the one before or the one after. Saving takes as long as the disk takes to make
// sure of that.
func Dir(path string) (e2e.SessionStore, error) {
	if err := os.MkdirAll(path, 0o700); err != nil {
		return nil, fmt.Errorf("sessionstore: %w", err)
	}
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("sessionstore: %w", err)
	}
	if m := info.Mode().Perm(); runtime.GOOS != "windows" && m&0o077 != 0 {
		return nil, fmt.Errorf("sessionstore: %s is open to other users (mode %#o): run chmod 700", path, m)
	}
	d := &dir{path: path}
	return Over(d), d.tidy()
}

// stripes is how many locks there are. Keys that share one wait for each other.
const stripes = 64

// dir is a KV of files. Locks are between processes, mutexes between the goroutines of
// this one: a lock of the system's belongs to an open file.
type dir struct {
	path  string
	mutex [stripes]sync.Mutex
	wrote func(step string) // tests end the process within a write
}

const (
	lockPrefix = "lock-"
	tempPrefix = "temp-"
)

// lock makes this the only user of a key's stripe.
func (d *dir) lock(key string) (unlock func(), _ error) {
	h := fnv.New32a()
	h.Write([]byte(key))
	n := h.Sum32() % stripes
	d.mutex[n].Lock()
	f, err := os.OpenFile(filepath.Join(d.path, fmt.Sprintf("%s%02d", lockPrefix, n)), os.O_RDWR|os.O_CREATE, 0o600)
	if err == nil {
		if err = lockFile(f); err != nil {
			f.Close()
		}
	}
	if err != nil {
		d.mutex[n].Unlock()
		return nil, err
	}
	return func() {
		f.Close() // and the lock with it
		d.mutex[n].Unlock()
	}, nil
}

func (d *dir) file(key string) string { return filepath.Join(d.path, key) }

func (d *dir) Get(_ context.Context, key string) ([]byte, uint64, error) {
	b, err := os.ReadFile(d.file(key))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, 0, nil
	}
	if err != nil {
		return nil, 0, err
	}
	v, ok := parseVersioned(b)
	if !ok { // nobody here wrote it, and it is in nobody's way
		return nil, 0, nil
	}
	return v.value, v.version, nil
}

func (d *dir) Put(ctx context.Context, key string, value []byte, version uint64, _ time.Time) (bool, error) {
	unlock, err := d.lock(key)
	if err != nil {
		return false, err
	}
	defer unlock()
	if _, now, err := d.Get(ctx, key); err != nil || now != version {
		return false, err
	}
	return true, d.replace(key, appendVersioned(nil, versioned{value, version + 1}))
}

// replace writes a new file beside the old one and gives it its name.
func (d *dir) replace(key string, b []byte) error {
	f, err := os.CreateTemp(d.path, tempPrefix+"*") // mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // fails once renamed
	d.step("created")
	_, err = f.Write(b)
	d.step("written")
	err = errors.Join(err, f.Sync())
	d.step("synced")
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), d.file(key)); err != nil {
		return err
	}
	d.step("renamed")
	return d.sync()
}

func (d *dir) step(name string) {
	if d.wrote != nil {
		d.wrote(name)
	}
}

// sync makes names survive a machine that stops.
func (d *dir) sync() error {
	f, err := os.Open(d.path)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := f.Sync(); err != nil && !errors.Is(err, fs.ErrInvalid) && runtime.GOOS != "windows" {
		return err
	}
	return nil
}

func (d *dir) Delete(ctx context.Context, key string, version uint64) (bool, error) {
	unlock, err := d.lock(key)
	if err != nil {
		return false, err
	}
	defer unlock()
	_, now, err := d.Get(ctx, key)
	if err != nil || now != 0 && now != version {
		return false, err
	}
	if err := os.Remove(d.file(key)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return false, err
	}
	return true, nil
}

func (d *dir) Keys(ctx context.Context, visit func(string) bool) error {
	entries, err := os.ReadDir(d.path)
	if err != nil {
		return err
	}
	for _, e := range entries {
		name := e.Name()
		if strings.HasPrefix(name, lockPrefix) || strings.HasPrefix(name, tempPrefix) {
			continue
		}
		if !visit(name) {
			break
		}
		if err := ctx.Err(); err != nil {
			return err
		}
	}
	return nil
}

// tidy removes what writers that were killed have left, once nobody can be writing it.
func (d *dir) tidy() error {
	entries, err := os.ReadDir(d.path)
	if err != nil {
		return fmt.Errorf("sessionstore: %w", err)
	}
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), tempPrefix) {
			continue
		}
		if info, err := e.Info(); err == nil && time.Since(info.ModTime()) > time.Hour {
			os.Remove(d.file(e.Name()))
		}
	}
	return nil
}

// A value with its version, as files hold it:
//
//	size      meaning
//	8         version, big endian
//	variable  value
func appendVersioned(dst []byte, v versioned) []byte {
	return append(binary.BigEndian.AppendUint64(dst, v.version), v.value...)
}

func parseVersioned(b []byte) (versioned, bool) {
	if len(b) < 8 {
		return versioned{}, false
	}
	return versioned{b[8:], binary.BigEndian.Uint64(b)}, true
}
