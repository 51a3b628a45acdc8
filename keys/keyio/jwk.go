package keyio

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"slices"
)

// MarshalPublicKeyJWK returns the key as a JSON Web Key (RFC 8037) with the required members only, in
// the order and form of RFC 7638. So the SHA-256 of the result is the key's JWK thumbprint.
func MarshalPublicKeyJWK(key ed25519.PublicKey) ([]byte, error) {
	if weak(key) {
		return nil, keyError("it is weak or has another size")
	}
	return fmt.Appendf(nil, `{"crv":"Ed25519","kty":"OKP","x":"%s"}`, base64.RawURLEncoding.EncodeToString(key)), nil
}

// ParsePublicKeyJWK reads a JSON Web Key (RFC 8037). Members that say what the key is for must allow
// it to verify signatures. It ignores other members, as RFC 7517 asks. It refuses a private key, a
// member that occurs twice, and what [ParsePublicKeyDER] refuses.
func ParsePublicKeyJWK(b []byte) (ed25519.PublicKey, error) {
	if len(b) > maxPublicKeySize {
		return nil, keyError("it is too long")
	}
	members, err := jsonMembers(b)
	if err != nil {
		return nil, err
	}
	if _, private := members["d"]; private {
		return nil, keyError("it is a private key: keep it secret, and give the public one")
	}
	if members["kty"] != "OKP" || members["crv"] != "Ed25519" {
		return nil, keyError(`expected "kty":"OKP" and "crv":"Ed25519"`)
	}
	if !verifies(members) {
		return nil, keyError("it is not meant to verify Ed25519 signatures")
	}
	x, _ := members["x"].(string)
	key, err := base64.RawURLEncoding.Strict().DecodeString(x)
	if err != nil || len(key) != ed25519.PublicKeySize || base64.RawURLEncoding.EncodeToString(key) != x {
		return nil, keyError(`"x" is not 32 bytes in base64url without padding`)
	}
	return checkedKey(key)
}

// verifies reports whether "use", "alg" and "key_ops" allow the key to verify signatures (RFC 7517,
// section 4; RFC 8037 and RFC 9864 for the two names of the algorithm).
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

// jsonMembers reads one object, and refuses two members with one name. encoding/json takes the last
// of them, and ignores the case of names when it fills a struct; two readers could see two keys.
func jsonMembers(b []byte) (map[string]any, error) {
	d := json.NewDecoder(bytes.NewReader(b))
	if open, err := d.Token(); err != nil || open != json.Delim('{') {
		return nil, keyError("it is not a JSON object")
	}
	members := make(map[string]any)
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return nil, keyError("it is not a JSON object")
		}
		var value any
		if err := d.Decode(&value); err != nil {
			return nil, keyError("it is not a JSON object")
		}
		if _, twice := members[name.(string)]; twice {
			return nil, keyError("a member stands there twice")
		}
		members[name.(string)] = value
	}
	if _, err := d.Token(); err != nil {
		return nil, keyError("it is not a JSON object")
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, keyError("something follows the JSON object")
	}
	return members, nil
}
