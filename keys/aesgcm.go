//go:build !js

package keys

import (
	"crypto/aes"
	"crypto/cipher"
)

// aesGCM returns AES-256-GCM under a key of 32 bytes.
func aesGCM(key []byte) cipher.AEAD {
	block, err := aes.NewCipher(key)
	if err != nil {
		panic(err) // only for another size
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		panic(err)
	}
	return aead
}
