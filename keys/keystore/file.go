package keystore

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/hopseal/hopseal/internal/atomicfile"
	"github.com/hopseal/hopseal/internal/filelock"
	"github.com/hopseal/hopseal/internal/keyfile"
)

// keepOwner gives a new file the owner of the store's file, or of like if that was removed.
func keepOwner(f *os.File, path string, like fs.FileInfo) error {
	if info, err := os.Lstat(path); err == nil {
		like = info
	}
	if like == nil {
		return nil
	}
	err := atomicfile.Keep(f, like, 0o700)
	if owner, ok := errors.AsType[*atomicfile.OwnerError](err); ok {
		return fileError(path, ErrOwner, owner.Error())
	}
	if err != nil {
		return fmt.Errorf("keys: %s not written: %w", path, err)
	}
	return nil
}

const tempSuffix = ".part"

func tempPrefix(path string) string { return "." + filepath.Base(path) + "." }

// removeLeftovers removes the unfinished files of writers that were killed. Nobody reads them, and
// they hold keys that may have been destroyed since. Only the holder of the store's lock calls it.
func removeLeftovers(path string) {
	dir := filepath.Dir(path)
	entries, _ := os.ReadDir(dir) // a folder that cannot be listed keeps them
	for _, e := range entries {
		middle, prefixed := strings.CutPrefix(e.Name(), tempPrefix(path))
		digits, suffixed := strings.CutSuffix(middle, tempSuffix)
		if prefixed && suffixed && e.Type().IsRegular() && strings.Trim(digits, "0123456789") == "" {
			os.Remove(filepath.Join(dir, e.Name()))
		}
	}
}

// readPrivate reads a file that only its owner may read. It checks the file that it has opened, so
// nothing changes if somebody replaces that meanwhile.
func readPrivate(path string) ([]byte, os.FileInfo, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|filelock.NoWait, 0)
	switch {
	case errors.Is(err, fs.ErrPermission):
		return nil, nil, fmt.Errorf("keys: %w: run this as the owner of the file, or give it back with chown", err)
	case err != nil:
		return nil, nil, fmt.Errorf("keys: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, nil, fmt.Errorf("keys: %w", err)
	}
	if m := info.Mode().Perm(); runtime.GOOS != "windows" && m&0o077 != 0 {
		return nil, info, fileError(path, ErrPermissions, fmt.Sprintf("mode is %#o; run chmod 600", m))
	}
	if !info.Mode().IsRegular() || info.Size() > keyfile.MaxSize {
		return nil, info, fileError(path, ErrDamaged, "expected a regular file of at most 16 MiB")
	}
	b, err := io.ReadAll(io.LimitReader(f, keyfile.MaxSize))
	if err != nil {
		return nil, nil, fmt.Errorf("keys: %w", err)
	}
	return b, info, nil
}

// realPath follows symbolic links to the store, so that a write replaces the file and not the link.
func realPath(path string) (string, error) {
	real, err := filepath.EvalSymlinks(path)
	if err == nil || !errors.Is(err, fs.ErrNotExist) {
		return real, err
	}
	dir, name := filepath.Split(path) // not Dir, which takes a/.. away where a is a link
	dir, err = filepath.EvalSymlinks(cmp.Or(dir, "."))
	return filepath.Join(dir, name), err
}
