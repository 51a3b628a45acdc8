//go:build !js

package keyio

import (
	"bytes"
	"crypto/ed25519"
	"testing"

	"github.com/hopseal/hopseal/internal/vectortest"
)

func TestWycheproofEd25519Keys(t *testing.T) {
	for _, g := range vectortest.Groups(t, "ed25519_test.json", 151) {
		key := ed25519.PublicKey(g.PublicKey.PK)
		for form, parse := range map[string]func() (ed25519.PublicKey, error){
			"DER": func() (ed25519.PublicKey, error) { return ParsePublicKeyDER(g.DER) },
			"PEM": func() (ed25519.PublicKey, error) { return ParsePublicKeyPEM([]byte(g.PEM)) },
			"JWK": func() (ed25519.PublicKey, error) { return ParsePublicKeyJWK(g.JWK) },
		} {
			if got, err := parse(); err != nil || !got.Equal(key) {
				t.Errorf("key %x from %s: %x, %v", key, form, got, err)
			}
		}
		if der := must(MarshalPublicKeyDER(key)); !bytes.Equal(der, g.DER) {
			t.Errorf("key %x in DER: %x", key, der)
		}
	}
}
