//go:build !js

package sessionstore

import (
	"fmt"
	"io/fs"
	"os"

	"github.com/hopseal/hopseal/internal/atomicfile"
)

// keepOwner gives files that are made in the folder to the folder's owner, whoever makes them. So
// root can look at a service's sessions without taking any of them away.
func (d *dir) keepOwner(folder fs.FileInfo) error {
	if !atomicfile.Foreign(folder) {
		return nil
	}
	d.folder = folder
	f, err := d.createTemp() // before there is anything to lose
	if err != nil {
		return fmt.Errorf("sessionstore: %s belongs to another user: %w", d.path, err)
	}
	f.Close()
	return os.Remove(f.Name())
}

// giveToOwner gives a new file to the owner of the folder.
func (d *dir) giveToOwner(f *os.File) error {
	if d.folder == nil {
		return nil
	}
	return atomicfile.Keep(f, d.folder, 0o600)
}

// createTemp makes a file that will replace another.
func (d *dir) createTemp() (*os.File, error) {
	f, err := os.CreateTemp(d.path, tempPrefix+"*") // mode 0600
	if err != nil {
		return nil, err
	}
	if err := d.giveToOwner(f); err != nil {
		f.Close()
		os.Remove(f.Name())
		return nil, err
	}
	return f, nil
}
