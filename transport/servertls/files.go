//go:build !js

package servertls

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
)

// maxFile is the largest file that is read, in bytes.
const maxFile = 1 << 20

// A bundle is some files whose contents are taken together or not at all.
type bundle struct {
	files []string
	take  func(contents [][]byte) error // what was taken before stays if it fails

	taken, seen, refused digest
}

// A digest tells contents, or the failure to read them, from others.
type digest [sha256.Size]byte

// An outcome is what came of a look.
type outcome int

const (
	unchanged outcome = iota
	unsettled         // the files have changed, and are perhaps still being written
	taken
	refused // for the first time; the old contents stay
)

// look takes the files' contents if they are new and the look before found the
// same. Two files cannot be read in one instant, and not all are written in one
// either; what two looks agree on is whole. With now it does not wait for a second
// look.
//
// Contents are compared, not times and inodes: whatever moved, renamed or linked
// the files, and however coarse their times are, new contents are new. A few KiB
// are read for that.
func (b *bundle) look(now bool) (outcome, error) {
	contents, d, err := b.read()
	if d == b.taken {
		b.seen, b.refused = d, digest{}
		return unchanged, nil
	}
	if d != b.seen && !now {
		b.seen = d
		return unsettled, nil
	}
	if err == nil {
		err = b.take(contents)
	}
	if err == nil {
		b.taken, b.seen, b.refused = d, d, digest{}
		return taken, nil
	}
	known := d == b.refused // it is tried again, since the clock may have been the cause, but told once
	b.seen, b.refused = d, d
	if known && !now {
		return unchanged, nil
	}
	return refused, fmt.Errorf("servertls: %s: %w", strings.Join(b.files, " with "), err)
}

func (b *bundle) read() (contents [][]byte, d digest, err error) {
	h := sha256.New()
	for _, file := range b.files {
		content, err := readFile(file)
		if err != nil {
			fmt.Fprint(h, err)
			return nil, digest(h.Sum(nil)), err
		}
		h.Write(binary.BigEndian.AppendUint64(nil, uint64(len(content))))
		h.Write(content)
		contents = append(contents, content)
	}
	return contents, digest(h.Sum(nil)), nil
}

func readFile(name string) ([]byte, error) {
	info, err := os.Stat(name) // opening a pipe would wait for its writer
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is not a regular file", name)
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	content, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if len(content) > maxFile {
		return nil, errors.New(name + " has more than 1 MiB")
	}
	return content, err
}
