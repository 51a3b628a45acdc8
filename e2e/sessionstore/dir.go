//go:build !js

package sessionstore

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/hopseal/hopseal/internal/atomicfile"
)

// Dir returns a store in a directory, with one file for each session, for each id and for each part.
// Dir makes the directory if there is none, for its owner only. Several processes may use it at
// once; on a network file system its locks have to work between machines.
//
// A call waits for other processes until its context ends. Once it writes, the context does not stop
// it, because nobody can take a write back: if the disk hangs, the call hangs. Package e2e does not
// wait for it any longer than it has promised to.
//
// Files have mode 0600 and belong to the owner of the directory, also those that root writes. A
// link in the place of a file is not followed.
//
// Whenever a process or the machine stops, each file holds the value before or the one after. A save
// takes as long as the disk takes to make sure of that. Saving a session again is one write, into
// room that its file has already.
func Dir(path string) (Store, error) {
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
	d := newDir(path)
	if err := d.keepOwner(info); err != nil {
		return nil, err
	}
	return Over(d), d.tidy()
}

// dir is a KV of files. Its lock files are between processes, and the mutexes between the goroutines
// of this one: the system gives a lock to an open file, and not to a goroutine.
type dir struct {
	path  string
	mutex [stripes]chan struct{} // each holds a token while somebody has its lock
	unconfirmed
	folder fs.FileInfo          // nil if it belongs to the user of this process
	wrote  func(step string)    // tests end the process in the middle of a write
	flush  func(*os.File) error // Sync, except in tests
}

func newDir(path string) *dir {
	d := &dir{path: path, flush: (*os.File).Sync}
	for i := range d.mutex {
		d.mutex[i] = make(chan struct{}, 1)
	}
	return d
}

const (
	lockPrefix = "lock-"
	tempPrefix = "temp-"
)

func (d *dir) file(key string) string { return filepath.Join(d.path, key) }

func (d *dir) Get(ctx context.Context, key string) ([]byte, uint64, error) {
	f, err := d.read(key)
	if err == nil && (f.torn() || d.unconfirmed.has(key)) { // torn also if it was read during a write
		var unlock func()
		if unlock, err = d.lock(ctx, key); err == nil {
			f, err = d.confirmed(key)
			unlock()
		}
	}
	return f.value, f.version, err
}

// read returns what a file holds. It returns nothing if there is no such file, or if this package
// did not write it: such a file can be replaced.
func (d *dir) read(key string) (contents, error) {
	b, err := readAll(d.file(key))
	if errors.Is(err, fs.ErrNotExist) {
		return contents{}, nil
	}
	return parseContents(b), err
}

func (d *dir) Put(ctx context.Context, key string, value []byte, version uint64, _ time.Time) (bool, error) {
	unlock, err := d.lock(ctx, key)
	if err != nil {
		return false, err
	}
	defer unlock()
	now, err := d.confirmed(key)
	if err != nil || now.version != version {
		return false, err
	}
	next := versioned{value, version + 1}
	switch {
	case now.fits(value):
		return true, d.writeSlot(key, now.other(), next)
	case version == 0:
		return true, d.replace(key, appendWhole(nil, next))
	}
	return true, d.replace(key, appendSlots(nil, next))
}

// writeSlot writes a value into the slot of a file that does not hold the latest one.
func (d *dir) writeSlot(key string, offset int64, v versioned) error {
	f, _, err := open(d.file(key), os.O_RDWR)
	if err != nil {
		return err
	}
	slot := appendSlot(nil, v)
	half := len(slot) / 2
	_, err = f.WriteAt(slot[:half], offset)
	d.step("half a slot written")
	if err == nil {
		_, err = f.WriteAt(slot[half:], offset+int64(half))
	}
	d.step("slot written")
	err = errors.Join(err, d.flush(f))
	d.step("slot synced")
	return d.unconfirmed.note(key, errors.Join(err, f.Close()))
}

// replace writes a new file beside the old one, and then gives it the old one's name.
func (d *dir) replace(key string, b []byte) error {
	f, err := d.createTemp()
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // fails once renamed
	d.step("created")
	_, err = f.Write(b)
	d.step("written")
	err = errors.Join(err, d.flush(f))
	d.step("synced")
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), d.file(key)); err != nil {
		return err
	}
	d.step("renamed")
	return d.unconfirmed.note(key, d.sync())
}

func (d *dir) step(name string) {
	if d.wrote != nil {
		d.wrote(name)
	}
}

// sync makes the names in the folder survive a power cut.
func (d *dir) sync() error {
	f, err := os.Open(d.path)
	if err != nil {
		return err
	}
	defer f.Close()
	return atomicfile.SyncBy(f, d.flush)
}

func (d *dir) Delete(ctx context.Context, key string, version uint64) (bool, error) {
	unlock, err := d.lock(ctx, key)
	if err != nil {
		return false, err
	}
	defer unlock()
	now, err := d.read(key)
	if err != nil || now.version != 0 && now.version != version {
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

// tidy removes temporary files of writers that were killed, once nobody can be writing them any more.
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
