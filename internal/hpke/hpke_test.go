package hpke

import (
	"bytes"
	"crypto/ecdh"
	"crypto/rand"
	"testing"
)

func newKey(t testing.TB) *ecdh.PrivateKey {
	t.Helper()
	key, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// What is sealed opens with its key and its info, and after no change.
func TestX25519OpensWhatWasSealedToIt(t *testing.T) {
	key, plaintext := newKey(t), []byte("to whom it may concern")
	sealed, err := SealX25519(newKey(t), key.PublicKey(), []byte("info"), plaintext)
	if err != nil || len(sealed) != len(plaintext)+Overhead {
		t.Fatalf("%d bytes, %v", len(sealed), err)
	}
	if got, err := OpenX25519(key, []byte("info"), sealed); err != nil || !bytes.Equal(got, plaintext) {
		t.Fatalf("%q, %v", got, err)
	}
	refused := func(what string, key *ecdh.PrivateKey, info string, sealed []byte) {
		t.Helper()
		if got, err := OpenX25519(key, []byte(info), sealed); err != errOpen || got != nil {
			t.Errorf("%s: %q, %v", what, got, err)
		}
	}
	refused("another key", newKey(t), "info", sealed)
	refused("another info", key, "inf", sealed)
	for i := range sealed {
		bad := bytes.Clone(sealed)
		bad[i] ^= 1
		refused("a changed bit", key, "info", bad)
		refused("a part", key, "info", sealed[:i])
	}
	refused("a share of low order", key, "info", append(make([]byte, EncapSize), sealed[EncapSize:]...))
}

func TestX25519DoesNotSealToALowOrderKey(t *testing.T) {
	zero, err := ecdh.X25519().NewPublicKey(make([]byte, 32))
	if err != nil {
		t.Fatal(err)
	}
	if sealed, err := SealX25519(newKey(t), zero, nil, nil); err == nil {
		t.Errorf("sealed as %x", sealed)
	}
}
