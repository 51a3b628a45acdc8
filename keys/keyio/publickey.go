package keyio

import (
	"bytes"
	"crypto/ed25519"
	"encoding/pem"
	"fmt"
	"slices"

	"github.com/hopseal/hopseal/keys"
)

// maxPublicKeySize is the longest text of a public key that this package reads, in bytes.
const maxPublicKeySize = 4096

// spki comes before the 32 bytes of an Ed25519 key in a SubjectPublicKeyInfo (RFC 8410, section 4).
// DER allows no other encoding.
var spki = []byte{0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00}

const pemType = "PUBLIC KEY"

// MarshalPublicKeyDER returns the key as a SubjectPublicKeyInfo (PKIX, RFC 8410),
// 44 bytes.
func MarshalPublicKeyDER(key ed25519.PublicKey) ([]byte, error) {
	if weak(key) {
		return nil, keyError("it is weak or has another size")
	}
	return slices.Concat(spki, key), nil
}

// ParsePublicKeyDER reads what [MarshalPublicKeyDER] wrote and nothing else. It
// refuses keys of small order and those that are not in canonical form (A08).
func ParsePublicKeyDER(b []byte) (ed25519.PublicKey, error) {
	key, ok := bytes.CutPrefix(b, spki)
	if !ok || len(key) != ed25519.PublicKeySize {
		return nil, keyError("it is of another algorithm, or damaged")
	}
	return checkedKey(key)
}

func checkedKey(key []byte) (ed25519.PublicKey, error) {
	if weak(key) {
		return nil, keyError("it is weak, or encoded in an unusual way")
	}
	return slices.Clone(key), nil
}

// MarshalPublicKeyPEM returns the key as a PEM block of type PUBLIC KEY (RFC 7468),
// which OpenSSL and crypto/x509 read.
func MarshalPublicKeyPEM(key ed25519.PublicKey) ([]byte, error) {
	der, err := MarshalPublicKeyDER(key)
	if err != nil {
		return nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: pemType, Bytes: der}), nil
}

// ParsePublicKeyPEM reads one PEM block in the form that [MarshalPublicKeyPEM] writes. Lines may end
// in CR LF, and space may surround the block. It checks the key as [ParsePublicKeyDER] does.
func ParsePublicKeyPEM(b []byte) (ed25519.PublicKey, error) {
	if len(b) > maxPublicKeySize {
		return nil, keyError("it is too long")
	}
	text := bytes.TrimSpace(bytes.ReplaceAll(b, []byte("\r\n"), []byte("\n")))
	block, _ := pem.Decode(text)
	switch {
	case block == nil:
		return nil, keyError("there is no PEM block")
	case bytes.Contains([]byte(block.Type), []byte("PRIVATE")):
		return nil, keyError("it is a private key: keep it secret, and give the public one")
	case block.Type != pemType || len(block.Headers) > 0 || !bytes.Equal(bytes.TrimSpace(pem.EncodeToMemory(block)), text):
		return nil, keyError("expected one PEM block of type PUBLIC KEY and nothing else")
	}
	return ParsePublicKeyDER(block.Bytes)
}

// keyError says what is wrong with a public key.
func keyError(what string) error { return fmt.Errorf("%w: %s", keys.ErrPublicKey, what) }

// weak reports whether package keys refuses the key as a root: it is of small order, not in canonical
// form, or of another size.
func weak(key ed25519.PublicKey) bool {
	_, err := keys.RootFingerprint(key)
	return err != nil
}
