//go:build !js

package keys

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"slices"
)

// maxPublicKeySize is the largest text of one public key that is read, in bytes.
const maxPublicKeySize = 4096

// spki is what stands before the 32 bytes of an Ed25519 key in a
// SubjectPublicKeyInfo (RFC 8410, section 4): DER has one encoding of it.
var spki = []byte{0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00}

const pemType = "PUBLIC KEY"

// MarshalPublicKeyDER returns the key as a SubjectPublicKeyInfo (PKIX, RFC 8410),
// 44 bytes.
func MarshalPublicKeyDER(key ed25519.PublicKey) ([]byte, error) {
	if checkEd25519(key) != nil {
		return nil, publicKeyError("it is weak or has another size")
	}
	return slices.Concat(spki, key), nil
}

// ParsePublicKeyDER reads what [MarshalPublicKeyDER] wrote and nothing else. It
// refuses keys of small order and those that are not in canonical form (A08).
func ParsePublicKeyDER(b []byte) (ed25519.PublicKey, error) {
	key, ok := bytes.CutPrefix(b, spki)
	if !ok || len(key) != ed25519PublicSize {
		return nil, publicKeyError("it is of another algorithm, or damaged")
	}
	return checkedKey(key)
}

func checkedKey(key []byte) (ed25519.PublicKey, error) {
	if checkEd25519(key) != nil {
		return nil, publicKeyError("it is weak, or encoded in an unusual way")
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

// ParsePublicKeyPEM reads one PEM block, written as [MarshalPublicKeyPEM] writes
// it; lines may end in CR LF, and space may surround it. Its key is checked as in
// [ParsePublicKeyDER].
func ParsePublicKeyPEM(b []byte) (ed25519.PublicKey, error) {
	if len(b) > maxPublicKeySize {
		return nil, publicKeyError("it is too long")
	}
	text := bytes.TrimSpace(bytes.ReplaceAll(b, []byte("\r\n"), []byte("\n")))
	block, _ := pem.Decode(text)
	switch {
	case block == nil:
		return nil, publicKeyError("there is no PEM block")
	case bytes.Contains([]byte(block.Type), []byte("PRIVATE")):
		return nil, publicKeyError("it is a private key: keep it secret, and give the public one")
	case block.Type != pemType || len(block.Headers) > 0 || !bytes.Equal(bytes.TrimSpace(pem.EncodeToMemory(block)), text):
		return nil, publicKeyError("expected one PEM block of type PUBLIC KEY and nothing else")
	}
	return ParsePublicKeyDER(block.Bytes)
}

// MarshalPublicKeyJWK returns the key as a JSON Web Key (RFC 8037) with the
// required members only, in the order and form of RFC 7638: the SHA-256 of what
// it returns is the key's JWK thumbprint.
func MarshalPublicKeyJWK(key ed25519.PublicKey) ([]byte, error) {
	if checkEd25519(key) != nil {
		return nil, publicKeyError("it is weak or has another size")
	}
	return fmt.Appendf(nil, `{"crv":"Ed25519","kty":"OKP","x":"%s"}`, base64.RawURLEncoding.EncodeToString(key)), nil
}

// ParsePublicKeyJWK reads a JSON Web Key (RFC 8037). Members that say what the key
// is for must allow to verify signatures; others are ignored, as RFC 7517 asks. It
// refuses a private key, a member that stands there twice, and what
// [ParsePublicKeyDER] refuses.
func ParsePublicKeyJWK(b []byte) (ed25519.PublicKey, error) {
	if len(b) > maxPublicKeySize {
		return nil, publicKeyError("it is too long")
	}
	members, err := jsonMembers(b)
	if err != nil {
		return nil, err
	}
	if _, private := members["d"]; private {
		return nil, publicKeyError("it is a private key: keep it secret, and give the public one")
	}
	if members["kty"] != "OKP" || members["crv"] != "Ed25519" {
		return nil, publicKeyError(`expected "kty":"OKP" and "crv":"Ed25519"`)
	}
	if !verifies(members) {
		return nil, publicKeyError("it is not meant to verify Ed25519 signatures")
	}
	x, _ := members["x"].(string)
	key, err := base64.RawURLEncoding.Strict().DecodeString(x)
	if err != nil || len(key) != ed25519PublicSize || base64.RawURLEncoding.EncodeToString(key) != x {
		return nil, publicKeyError(`"x" is not 32 bytes in base64url without padding`)
	}
	return checkedKey(key)
}

// verifies looks at "use", "alg" and "key_ops" (RFC 7517, section 4; RFC 8037 and
// RFC 9864 for the two names of the algorithm).
func verifies(members map[string]any) bool {
	if use, has := members["use"]; has && use != "sig" {
		return false
	}
	if alg, has := members["alg"]; has && alg != "EdDSA" && alg != "Ed25519" {
		return false
	}
	ops, has := members["key_ops"]
	list, _ := ops.([]any)
	return !has || slices.Contains(list, any("verify"))
}

// jsonMembers reads one object. encoding/json takes the last of two members with
// one name and ignores the case of names where it fills a struct; two readers
// could see two keys.
func jsonMembers(b []byte) (map[string]any, error) {
	d := json.NewDecoder(bytes.NewReader(b))
	if open, err := d.Token(); err != nil || open != json.Delim('{') {
		return nil, publicKeyError("it is not a JSON object")
	}
	members := make(map[string]any)
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return nil, publicKeyError("it is not a JSON object")
		}
		var value any
		if err := d.Decode(&value); err != nil {
			return nil, publicKeyError("it is not a JSON object")
		}
		if _, twice := members[name.(string)]; twice {
			return nil, publicKeyError("a member stands there twice")
		}
		members[name.(string)] = value
	}
	if _, err := d.Token(); err != nil {
		return nil, publicKeyError("it is not a JSON object")
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, publicKeyError("something follows the JSON object")
	}
	return members, nil
}
