package keystore

import (
	"context"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"

	"github.com/hopseal/hopseal/internal/gcm"
	"github.com/hopseal/hopseal/internal/label"
	"github.com/hopseal/hopseal/internal/strict"
	"github.com/hopseal/hopseal/keys/internal/version"
)

const (
	fileMagic   = "hopseal key file"
	fileVersion = 1
	maxFileSize = 16 << 20
	fileSalt    = 32
	checkSize   = 32
)

// A sealed file is
//
//	file = head ‖ check 32 ‖ ciphertext ‖ tag 16
//	head = array(4) [ magic str, version=1, protector, salt bin 32 ]
//
// The protector says where the 32-byte master key comes from. Every write draws a new salt and so has
// its own key, hence the fixed nonce. The check value is derived from the key: it tells a wrong
// passphrase from a damaged file, and commits to the key.

// sealFile returns the sealed file with this content.
func sealFile(content, master, protector []byte) []byte {
	head := strict.AppendStr(strict.AppendArray(nil, 4), fileMagic)
	head = append(strict.AppendUint(head, fileVersion), protector...)
	salt := make([]byte, fileSalt)
	rand.Read(salt)
	head = strict.AppendBin(head, salt)
	aead, check := fileKeys(master, head)
	b := append(head, check...)
	return aead.Seal(b, make([]byte, aead.NonceSize()), content, label.IdentityFile.With(b))
}

// openFile returns the content of a sealed file, its protector, and the master key that the secret has
// unlocked with it. If the check value does not fit the key, the error matches ErrPassphrase.
func openFile(ctx context.Context, path string, b []byte, secret Secret) (content, master, protector []byte, err error) {
	protector, size, ok := parseFileHead(b)
	if !ok {
		err := ErrDamaged
		version.Later(&err, b, fileVersion)
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
	aead, check := fileKeys(master, b[:headSize])
	body := headSize + checkSize
	if subtle.ConstantTimeCompare(check, b[headSize:body]) != 1 {
		return nil, fileError(path, ErrPassphrase, "try again, or restore the file if its first bytes were changed")
	}
	content, err := aead.Open(nil, make([]byte, aead.NonceSize()), b[body:], label.IdentityFile.With(b[:body]))
	if err != nil {
		return nil, damaged(path)
	}
	return content, nil
}

// parseFileHead returns the encoded protector and the size of the head.
func parseFileHead(b []byte) (protector []byte, size int, ok bool) {
	r := strict.NewReader(b)
	r.Array(4)
	magic, version := r.Str(len(fileMagic), len(fileMagic)), r.Uint()
	start := len(b) - r.Len()
	skipProtector(&r)
	end := len(b) - r.Len()
	r.Bin(fileSalt, fileSalt)
	if r.Failed() || magic != fileMagic || version != fileVersion || r.Len() < checkSize+16 {
		return nil, 0, false
	}
	return b[start:end], len(b) - r.Len(), true
}

// fileKeys derives a file's AEAD and its check value from the master key and the head.
func fileKeys(master, head []byte) (cipher.AEAD, []byte) {
	out, err := hkdf.Key(sha256.New, master, nil, string(label.IdentityFile.With(head)), 32+checkSize)
	if err != nil {
		panic(err) // 64 bytes are within HKDF's limit
	}
	return gcm.New(out[:32]), out[32:]
}
