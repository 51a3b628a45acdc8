//go:build !js

package jwtauth

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"errors"
	"slices"
	"strings"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/json"
)

const (
	maxKeys     = 100
	minRSABits  = 2048 // RFC 7518, section 3.3
	maxRSABits  = 8192 // beyond, checking a signature takes milliseconds
	maxExponent = 1<<31 - 1
)

var (
	errUnavailable = errors.New("jwtauth: the issuer's keys cannot be had now")
	errNoSet       = errors.New("it is no JWK Set")
	errTooManyKeys = errors.New("it has more than 100 keys")
	errNoKeys      = errors.New("no key in it signs with an algorithm that counts here")
)

// algorithms lists all algorithms that count. For each kind of key the usual one comes first.
var algorithms = []string{"EdDSA", "ES256", "ES384", "ES512", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512"}

func signatureAlgorithms(names []string) (out []jose.SignatureAlgorithm) {
	for _, name := range names {
		out = append(out, jose.SignatureAlgorithm(name))
	}
	return out
}

// A key is good for one algorithm.
type key struct {
	algorithm string
	public    any
}

// A set holds keys by their names.
type set map[string]key

// parseSet reads a JWK Set. It leaves out keys that are for another use or that it cannot
// read (RFC 7517, section 5). It also leaves out keys that share a name, because a token
// could choose between them.
func parseSet(b []byte, allowed []string) (set, error) {
	var raw struct {
		Keys []json.RawMessage `json:"keys"`
	}
	switch err := json.Unmarshal(b, &raw); {
	case err != nil:
		return nil, errNoSet
	case len(raw.Keys) > maxKeys:
		return nil, errTooManyKeys
	}
	found, shared := make(set), make(map[string]bool)
	for _, one := range raw.Keys {
		var jwk jose.JSONWebKey
		if json.Unmarshal(one, &jwk) != nil || jwk.Use != "" && jwk.Use != "sig" {
			continue
		}
		algorithm, ok := pin(jwk, allowed)
		if !ok {
			continue
		}
		_, twice := found[jwk.KeyID]
		shared[jwk.KeyID] = twice || shared[jwk.KeyID]
		found[jwk.KeyID] = key{algorithm, jwk.Key}
	}
	for name, is := range shared {
		if is {
			delete(found, name)
		}
	}
	if len(found) == 0 {
		return nil, errNoKeys
	}
	return found, nil
}

// find returns the key of that name. For a token without a name it returns the only key
// of a set of one.
func (s set) find(id string) (key, bool) {
	if id == "" && len(s) == 1 {
		for _, only := range s {
			return only, true
		}
	}
	k, ok := s[id]
	return k, ok && id != ""
}

// pin returns the one algorithm that a key is good for.
func pin(k jose.JSONWebKey, allowed []string) (algorithm string, ok bool) {
	for _, name := range allowed {
		if (k.Algorithm == "" || k.Algorithm == name) && fits(k.Key, name) {
			return name, true
		}
	}
	return "", false
}

// fits reports whether a public key can check signatures of an algorithm. Only public keys
// fit: with a shared secret a verifier could sign too, and a published private key is known
// to everybody.
func fits(public any, algorithm string) bool {
	switch k := public.(type) {
	case ed25519.PublicKey:
		return algorithm == "EdDSA" && len(k) == ed25519.PublicKeySize
	case *ecdsa.PublicKey:
		return algorithm == map[int]string{256: "ES256", 384: "ES384", 521: "ES512"}[k.Curve.Params().BitSize]
	case *rsa.PublicKey:
		bits := k.N.BitLen()
		return bits >= minRSABits && bits <= maxRSABits && k.E >= 3 && k.E%2 == 1 && k.E <= maxExponent &&
			slices.Contains([]string{"RS", "PS"}, strings.TrimRight(algorithm, "0123456789"))
	}
	return false
}
