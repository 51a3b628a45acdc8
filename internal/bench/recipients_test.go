package main

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hpke"
	"crypto/sha256"
	"encoding/binary"
	"testing"
)

// crypto/hpke opens what is sealed under the secret of the bare
// encapsulation, so that this is X-Wing and nothing less.
func TestXWingIsThatOfHPKE(t *testing.T) {
	seed, info, plaintext := message(32), []byte("info"), message(32)
	bare, err := newXWing(seed)
	if err != nil {
		t.Fatal(err)
	}
	private, err := hpke.MLKEM768X25519().NewPrivateKey(seed)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(private.PublicKey().Bytes(), append(bare.mPub.Bytes(), bare.bytes...)) {
		t.Error("the public keys differ")
	}
	secret, ciphertext, err := bare.encapsulate()
	if err != nil {
		t.Fatal(err)
	}
	sealed := append(ciphertext, hpkeSeal(t, secret, info, plaintext)...)
	opened, err := hpke.Open(private, hpke.HKDFSHA256(), hpke.AES256GCM(), info, sealed)
	if err != nil || !bytes.Equal(opened, plaintext) {
		t.Errorf("crypto/hpke does not open it: %v", err)
	}
	if got, err := bare.decapsulate(ciphertext); err != nil || got != secret {
		t.Errorf("decapsulation gives another secret: %v", err)
	}
	ciphertext[0] ^= 1
	if got, err := bare.decapsulate(ciphertext); err == nil && got == secret {
		t.Error("another ciphertext has the same secret")
	}
}

// hpkeSeal is the first message of RFC 9180 in base mode, after the KEM.
func hpkeSeal(t *testing.T, secret [32]byte, info, plaintext []byte) []byte {
	t.Helper()
	suite := []byte("HPKE\x64\x7a\x00\x01\x00\x02") // X-Wing, HKDF-SHA-256, AES-256-GCM
	check := func(b []byte, err error) []byte {
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	extract := func(salt []byte, label string, ikm []byte) []byte {
		return check(hkdf.Extract(sha256.New, bytes.Join([][]byte{[]byte("HPKE-v1"), suite, []byte(label), ikm}, nil), salt))
	}
	context := append([]byte{0}, append(extract(nil, "psk_id_hash", nil), extract(nil, "info_hash", info)...)...)
	prk := extract(secret[:], "secret", nil)
	expand := func(label string, n int) []byte {
		size := binary.BigEndian.AppendUint16(nil, uint16(n))
		return check(hkdf.Expand(sha256.New, prk, string(bytes.Join([][]byte{size, []byte("HPKE-v1"), suite, []byte(label), context}, nil)), n))
	}
	block, err := aes.NewCipher(expand("key", 32))
	if err != nil {
		t.Fatal(err)
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		t.Fatal(err)
	}
	return aead.Seal(nil, expand("base_nonce", 12), plaintext, nil)
}
