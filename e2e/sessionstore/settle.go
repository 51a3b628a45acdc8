//go:build !js

package sessionstore

import (
	"fmt"
	"io/fs"
	"os"
	"sync"

	"github.com/hopseal/hopseal/internal/atomicfile"
)

// doubts are the keys whose last write the disk has not confirmed. The file shows it; a power cut
// may take it back, and asking the disk again confirms nothing: what failed to be written counts
// as written then.
type doubts struct {
	mu   sync.Mutex
	keys map[string]bool
}

func (d *doubts) has(key string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.keys[key]
}

// note remembers whether the disk has confirmed a write.
func (d *doubts) note(key string, err error) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case err == nil:
		delete(d.keys, key)
	case d.keys == nil:
		d.keys = map[string]bool{key: true}
	default:
		d.keys[key] = true
	}
	return err
}

// settled is read, under the key's lock, for what survives a power cut: it writes it anew where
// that is in doubt.
func (d *dir) settled(key string) (contents, error) {
	now, err := d.read(key)
	if err != nil || !d.doubts.has(key) {
		return now, err
	}
	switch now.version {
	case 0:
		return now, d.doubts.note(key, nil) // it is gone
	case 1:
		err = d.replace(key, appendWhole(nil, now.versioned))
	default:
		err = d.replace(key, appendSlots(nil, now.versioned))
	}
	if err != nil {
		return contents{}, err
	}
	return d.read(key)
}

// belong has files that are made in the folder belong to its owner, whoever makes them: root, who
// looks at a service's sessions, takes none of them away.
func (d *dir) belong(folder fs.FileInfo) error {
	if !atomicfile.Foreign(folder) {
		return nil
	}
	d.folder = folder
	f, err := d.create() // before there is anything to lose
	if err != nil {
		return fmt.Errorf("sessionstore: %s belongs to another user: %w", d.path, err)
	}
	f.Close()
	return os.Remove(f.Name())
}

// own gives a new file to the owner of the folder.
func (d *dir) own(f *os.File) error {
	if d.folder == nil {
		return nil
	}
	return atomicfile.Keep(f, d.folder, 0o600)
}

// create makes a file that will take the place of another.
func (d *dir) create() (*os.File, error) {
	f, err := os.CreateTemp(d.path, tempPrefix+"*") // mode 0600
	if err != nil {
		return nil, err
	}
	if err := d.own(f); err != nil {
		f.Close()
		os.Remove(f.Name())
		return nil, err
	}
	return f, nil
}
