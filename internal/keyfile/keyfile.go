// Package keyfile is the form of a file that holds secret keys under a master key: the stores of
// keys/keystore, and what the npm package exports. It is apart from both, so that the core for
// browsers imports no files.
package keyfile

import (
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"errors"

	"github.com/hopseal/hopseal/internal/gcm"
	"github.com/hopseal/hopseal/internal/label"
	"github.com/hopseal/hopseal/internal/strict"
)

const (
	magic     = "hopseal key file"
	saltSize  = 32
	checkSize = 32

	// Version is that of the files that Seal makes.
	Version = 1
	// MaxSize is the size of the largest file, in bytes.
	MaxSize = 16 << 20
	// MasterSize is the size of a master key, in bytes.
	MasterSize = 32
)

// What Open returns for a file that does not open.
var (
	ErrMaster  = errors.New("another master key")
	ErrDamaged = errors.New("damaged")
)

// A sealed file is
//
//	file = head ‖ check 32 ‖ ciphertext ‖ tag 16
//	head = array(4) [ magic str, version=1, protector, salt bin 32 ]
//
// The protector says where the 32-byte master key comes from. Every write draws a new salt and so has
// its own key, hence the fixed nonce. The check value is derived from the key: it tells a wrong
// passphrase from a damaged file, and commits to the key.

// Seal returns the sealed file with this content.
func Seal(content, master, protector []byte) []byte {
	head := strict.AppendStr(strict.AppendArray(nil, 4), magic)
	head = append(strict.AppendUint(head, Version), protector...)
	salt := make([]byte, saltSize)
	rand.Read(salt)
	head = strict.AppendBin(head, salt)
	aead, check := keys(master, head)
	b := append(head, check...)
	return aead.Seal(b, make([]byte, aead.NonceSize()), content, label.IdentityFile.With(b))
}

// Head returns the encoded protector and the size of the head.
func Head(b []byte) (protector []byte, size int, ok bool) {
	r := strict.NewReader(b)
	r.Array(4)
	found, version := r.Str(len(magic), len(magic)), r.Uint()
	start := len(b) - r.Len()
	SkipProtector(&r)
	end := len(b) - r.Len()
	r.Bin(saltSize, saltSize)
	if r.Failed() || found != magic || version != Version || r.Len() < checkSize+16 {
		return nil, 0, false
	}
	return b[start:end], len(b) - r.Len(), true
}

// Open returns the content of a file whose head has this size.
func Open(b []byte, headSize int, master []byte) ([]byte, error) {
	aead, check := keys(master, b[:headSize])
	body := headSize + checkSize
	if subtle.ConstantTimeCompare(check, b[headSize:body]) != 1 {
		return nil, ErrMaster
	}
	content, err := aead.Open(nil, make([]byte, aead.NonceSize()), b[body:], label.IdentityFile.With(b[:body]))
	if err != nil {
		return nil, ErrDamaged
	}
	return content, nil
}

// keys derives a file's AEAD and its check value from the master key and the head.
func keys(master, head []byte) (cipher.AEAD, []byte) {
	out, err := hkdf.Key(sha256.New, master, nil, string(label.IdentityFile.With(head)), 32+checkSize)
	if err != nil {
		panic(err) // 64 bytes are within HKDF's limit
	}
	return gcm.New(out[:32]), out[32:]
}
