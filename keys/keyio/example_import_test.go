//go:build !js

package keyio_test

import (
	"bytes"
	"context"
	"fmt"
	"log"
	"os"
	"path/filepath"

	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/insecurecleartextkeyset"
	"github.com/tink-crypto/tink-go/v2/keyset"
	"github.com/tink-crypto/tink-go/v2/mac"

	"github.com/hopseal/hopseal/keys"
	"github.com/hopseal/hopseal/keys/insecurecleartext"
	"github.com/hopseal/hopseal/keys/keyio"
	"github.com/hopseal/hopseal/keys/keystore"
)

// This takes over the keysets of a program that uses Tink itself, and seals to it. AES256_GCM keys
// seal from a store, which counts their messages.
func ExampleImportSharedKeyset() {
	check := func(err error) {
		if err != nil {
			log.Fatal(err)
		}
	}
	take := func(theirs *keyset.Handle) *keyio.TinkKeyset {
		var b bytes.Buffer // in clear, as it goes from hand to hand within this process
		check(insecurecleartextkeyset.Write(theirs, keyset.NewBinaryWriter(&b)))
		ours, err := keyio.ReadCleartextTinkKeyset(b.Bytes(), keyio.TinkBinary, insecurecleartext.Token{})
		check(err)
		return ours
	}

	// The other program's keysets:
	theirAEAD, err := keyset.NewHandle(aead.AES256GCMKeyTemplate())
	check(err)
	theirMAC, err := keyset.NewHandle(mac.HMACSHA256Tag256KeyTemplate())
	check(err)

	shared, err := keyio.ImportSharedKeyset(take(theirAEAD), take(theirMAC))
	check(err)
	dir, err := os.MkdirTemp("", "hopseal")
	check(err)
	defer os.RemoveAll(dir)
	me, err := keys.GenerateIdentity("billing")
	check(err)
	secret := keystore.Passphrase([]byte("staple gravel otter moonlit canyon"))
	store, err := keystore.Create(context.Background(), filepath.Join(dir, "billing.store"), secret, me)
	check(err)
	defer store.Close()
	check(store.PutSharedKeyset("orders", shared))
	sealed, err := shared.Primary().Seal(nil, []byte("ten apples"), []byte("orders"))
	check(err)

	// The other program, behind Tink's prefix of five bytes:
	primitive, err := aead.New(theirAEAD)
	check(err)
	entry, err := theirAEAD.Primary()
	check(err)
	id := entry.KeyID()
	prefix := []byte{1, byte(id >> 24), byte(id >> 16), byte(id >> 8), byte(id)}
	opened, err := primitive.Decrypt(append(prefix, sealed...), []byte("orders"))
	check(err)
	fmt.Printf("%s\n", opened)
	// Output: ten apples
}
