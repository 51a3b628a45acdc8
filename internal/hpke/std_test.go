//go:build !js

package hpke

import (
	"bytes"
	"crypto/hpke"
	"testing"
)

// The standard library opens what this package seals, and the reverse.
func TestX25519IsThatOfTheStandardLibrary(t *testing.T) {
	for n := range 70 {
		info, plaintext := bytes.Repeat([]byte{'i'}, n), bytes.Repeat([]byte{'p'}, 2*n)
		key := newKey(t)
		private, err := hpke.NewDHKEMPrivateKey(key)
		if err != nil {
			t.Fatal(err)
		}
		ours, err := SealX25519(newKey(t), key.PublicKey(), info, plaintext)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := hpke.Open(private, hpke.HKDFSHA256(), hpke.AES256GCM(), info, ours); err != nil || !bytes.Equal(got, plaintext) {
			t.Errorf("the library opens %x, %v", got, err)
		}
		theirs, err := hpke.Seal(private.PublicKey(), hpke.HKDFSHA256(), hpke.AES256GCM(), info, plaintext)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := OpenX25519(key, info, theirs); err != nil || !bytes.Equal(got, plaintext) {
			t.Errorf("this package opens %x, %v", got, err)
		}
	}
}
