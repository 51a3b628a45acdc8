package main

import (
	"github.com/go-jose/go-jose/v4"
	"github.com/lestrrat-go/jwx/v3/jwa"
	"github.com/lestrrat-go/jwx/v3/jwe"
)

// The peers seal with AES-256-GCM directly under a shared key and write the
// compact form of JWE (RFC 7516). What their interfaces let a caller prepare once
// is prepared once.

func newJWX() (codec, error) {
	key := jwe.WithKey(jwa.DIRECT(), message(32))
	encrypt := []jwe.EncryptOption{key, jwe.WithContentEncryption(jwa.A256GCM())}
	decrypt := []jwe.DecryptOption{key}
	var sealed []byte
	return codec{"jwx, JWE dir A256GCM",
		func(plaintext []byte) (err error) {
			sealed, err = jwe.Encrypt(plaintext, encrypt...)
			return err
		},
		func() ([]byte, error) { return jwe.Decrypt(sealed, decrypt...) },
	}, nil
}

func newGoJOSE() (codec, error) {
	key := message(32)
	encrypter, err := jose.NewEncrypter(jose.A256GCM, jose.Recipient{Algorithm: jose.DIRECT, Key: key}, nil)
	algorithms, encryptions := []jose.KeyAlgorithm{jose.DIRECT}, []jose.ContentEncryption{jose.A256GCM}
	var sealed string
	return codec{"go-jose, JWE dir A256GCM",
		func(plaintext []byte) error {
			object, err := encrypter.Encrypt(plaintext)
			if err == nil {
				sealed, err = object.CompactSerialize()
			}
			return err
		},
		func() ([]byte, error) {
			object, err := jose.ParseEncryptedCompact(sealed, algorithms, encryptions)
			if err != nil {
				return nil, err
			}
			return object.Decrypt(key)
		},
	}, err
}
