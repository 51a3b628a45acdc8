// Package hpke is HPKE in base mode (RFC 9180) with HKDF-SHA-256 and AES-256-GCM, for one
// message: its key schedule for any KEM, and DHKEM(X25519, HKDF-SHA256) as one.
//
// crypto/hpke does the same, but refers to every curve that it knows, which would be a
// twentieth of what a page loads. A test holds the two against each other.
package hpke

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/binary"
)

// A Suite is the suite_id of RFC 9180 with which derivations are told apart: of a KEM
// (section 4.1), or of a KEM, a KDF and an AEAD (section 5.1).
type Suite string

// Schedule is the key schedule in base mode, without the exporter, and the nonce of the
// first message, which is the base nonce (section 5).
func (s Suite) Schedule(shared, info []byte) (aead cipher.AEAD, nonce []byte) {
	context := append([]byte{0}, s.extract(nil, "psk_id_hash", nil)...)
	context = append(context, s.extract(nil, "info_hash", info)...)
	secret := s.extract(shared, "secret", nil)
	block, err := aes.NewCipher(s.expand(secret, "key", context, 32))
	if err != nil {
		panic(err) // 32 bytes are always a key
	}
	if aead, err = cipher.NewGCM(block); err != nil {
		panic(err)
	}
	return aead, s.expand(secret, "base_nonce", context, 12)
}

// extract is LabeledExtract, section 4.
func (s Suite) extract(salt []byte, label string, ikm []byte) []byte {
	prk, err := hkdf.Extract(sha256.New, append([]byte("HPKE-v1"+string(s)+label), ikm...), salt)
	if err != nil {
		panic(err) // only for hashes that are not approved
	}
	return prk
}

// expand is LabeledExpand, section 4.
func (s Suite) expand(prk []byte, label string, info []byte, size int) []byte {
	labeled := binary.BigEndian.AppendUint16(nil, uint16(size))
	labeled = append(append(labeled, "HPKE-v1"+string(s)+label...), info...)
	key, err := hkdf.Expand(sha256.New, prk, string(labeled), size)
	if err != nil {
		panic(err) // sizes are within HKDF's limit
	}
	return key
}
