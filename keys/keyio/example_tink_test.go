//go:build !js

package keyio_test

import (
	"bytes"
	"fmt"
	"log"

	"github.com/tink-crypto/tink-go/v2/hybrid"
	"github.com/tink-crypto/tink-go/v2/keyset"

	"github.com/hopseal/hopseal/keys"
	"github.com/hopseal/hopseal/keys/keyio"
)

// This gives a program that uses Tink itself what it needs to seal to an identity.
func ExampleExportIdentity() {
	me, err := keys.GenerateIdentity("billing")
	if err != nil {
		log.Fatal(err)
	}
	sealing, err := keyio.ExportIdentity(me, keys.UseSealing)
	if err != nil {
		log.Fatal(err)
	}
	public, err := sealing.Public(keyio.TinkJSON)
	if err != nil {
		log.Fatal(err)
	}

	// The other program:
	handle, err := keyset.ReadWithNoSecrets(keyset.NewJSONReader(bytes.NewReader(public)))
	if err != nil {
		log.Fatal(err)
	}
	encrypt, err := hybrid.NewHybridEncrypt(handle)
	if err != nil {
		log.Fatal(err)
	}
	sealed, err := encrypt.Encrypt([]byte("a key of 32 bytes, for example.."), []byte("context"))
	if err != nil {
		log.Fatal(err)
	}

	// Here again, without Tink's prefix of five bytes:
	opened, err := me.UnsealKey(me.Public().RecipientKey().ID(), []byte("context"), sealed[5:])
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s\n", opened)
	// Output: a key of 32 bytes, for example..
}
