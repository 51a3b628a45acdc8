package keystore

import (
	"context"
	"errors"
	"fmt"

	"github.com/hopseal/hopseal/internal/keyfile"
	"github.com/hopseal/hopseal/keys/internal/version"
)

// openFile returns the content of a sealed file, its protector, and the master key that the secret has
// unlocked with it. If the check value does not fit the key, the error matches ErrPassphrase.
func openFile(ctx context.Context, path string, b []byte, secret Secret) (content, master, protector []byte, err error) {
	protector, size, ok := keyfile.Head(b)
	if !ok {
		err := ErrDamaged
		version.Later(&err, b, keyfile.Version)
		return nil, nil, nil, unread(path, err)
	}
	if master, err = secret.unlock(ctx, protector); err != nil {
		return nil, nil, nil, fmt.Errorf("keys: %s: %w", path, err)
	}
	content, err = openBody(path, b, size, master)
	if k, ok := secret.(kmsSecret); ok && errors.Is(err, ErrPassphrase) {
		err = fmt.Errorf("keys: %s: %w", path, kmsError(k.uri, errOtherMaster))
	}
	return content, master, protector, err
}

func openBody(path string, b []byte, headSize int, master []byte) ([]byte, error) {
	content, err := keyfile.Open(b, headSize, master)
	switch err {
	case nil:
		return content, nil
	case keyfile.ErrMaster:
		return nil, fileError(path, ErrPassphrase, "try again, or restore the file if its first bytes were changed")
	}
	return nil, damaged(path)
}
