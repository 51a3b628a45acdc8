//go:build !js

package main

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/hopseal/hopseal/keys"
)

// Commands write what they export as base64 in one line, so that it goes through a terminal, a chat or
// a ticket. It is public or sealed. Files may hold the bytes themselves as well.

func encodeText(b []byte) string { return base64.StdEncoding.EncodeToString(b) }

// decodeText decodes base64. It returns anything else as it is.
func decodeText(b []byte) []byte {
	text := string(bytes.TrimSpace(b))
	if raw, err := base64.StdEncoding.Strict().DecodeString(text); err == nil && encodeText(raw) == text {
		return raw
	}
	return b
}

// Limits of what is read, in bytes.
const (
	maxPublicText = 2 * keys.MaxPublicSize
	maxSealedText = 1 << 20
	maxBackup     = 32 << 20
)

// readFile reads the file of an argument, "-" for standard input.
func (c *call) readFile(name string, limit int64) ([]byte, error) {
	r := c.stdin
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return nil, fmt.Errorf("%w: check the name", err)
		}
		defer f.Close()
		r = f
	}
	b, err := io.ReadAll(io.LimitReader(r, limit+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("%w: give a file that can be read", err)
	case int64(len(b)) > limit:
		return nil, fmt.Errorf("%s has more than %d bytes: it is not what is expected here: check the name", name, limit)
	case len(bytes.TrimSpace(b)) == 0:
		return nil, fmt.Errorf("%s is empty: ask for it again", name)
	}
	return b, nil
}

// writeNew writes a new file that nobody else can read.
func writeNew(path string, b []byte) (err error) {
	if err := mustBeFree(path); err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer func() {
		if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
			os.Remove(path)
			err = fmt.Errorf("%w: nothing was written", err)
		}
	}()
	_, err = f.Write(b)
	return err
}

// mustBeFree refuses a path at which there is something already.
func mustBeFree(path string) error {
	if _, err := os.Lstat(path); err == nil {
		return fmt.Errorf("%s exists already and was not touched: choose another path", path)
	}
	if _, err := os.Stat(filepath.Dir(path)); errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("there is no folder %s: make it first", filepath.Dir(path))
	}
	return nil
}
