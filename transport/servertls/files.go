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

// maxFile is the largest file that readFile accepts, in bytes.
const maxFile = 1 << 20

// A bundle is a list of files whose contents are used together or not at all.
type bundle struct {
	files []string
	take  func(contents [][]byte) error // if it fails, the previous contents stay in use

	taken, seen, refused digest
}

// A digest identifies contents, or the failure to read them.
type digest [sha256.Size]byte

// An outcome is the result of a look.
type outcome int

const (
	unchanged outcome = iota
	unsettled         // the files have changed, and somebody may still be writing them
	taken
	refused // for the first time; the old contents stay in use
)

// look takes the files' contents if they are new and the previous look found the same.
// Nobody can read two files in one instant, and not every program writes them in one;
// contents on which two looks agree are complete. If now is true, look takes new
// contents at once.
//
// look compares contents, not times and inodes: it notices new contents however the
// files were moved, renamed or linked, and however coarse their times are. The price is
// to read a few KiB.
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
	known := d == b.refused // take ran again, since the clock may have been the cause, but the refusal is reported once
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
	info, err := os.Stat(name) // before opening: os.Open of a pipe waits for its writer
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
