package keystore_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"path/filepath"

	"github.com/hopseal/hopseal/keys"
	"github.com/hopseal/hopseal/keys/keystore"
)

// Make an identity once, keep it in a store, open the store at every start, and have it renew the
// identity.
func Example() {
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	ctx := context.Background()
	path := filepath.Join(dir, "billing.store")
	secret := keystore.Passphrase([]byte("seven words that nobody else would choose"))

	me, err := keys.GenerateIdentity("billing")
	if err != nil {
		log.Fatal(err)
	}
	store, err := keystore.Create(ctx, path, secret, me)
	if err != nil {
		log.Fatal(err)
	}
	if err := store.Close(); err != nil {
		log.Fatal(err)
	}

	store, err = keystore.Open(ctx, path, secret)
	if err != nil {
		log.Fatal(err)
	}
	defer store.Close()
	running, stop := context.WithCancel(ctx)
	defer stop()
	go store.Run(running, keystore.DefaultRotation) // keeps it alive: without it every peer refuses the identity after 30 days
	fmt.Println(store.Identity().Name(), store.Identity().Fingerprint() == me.Fingerprint())
	// Output: billing true
}

// Let a store rotate its keys. Whoever holds the identity uses the new key at
// once; what is on its way under the old one still opens.
func ExampleStore_Rotate() {
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	me, err := keys.GenerateIdentity("billing")
	if err != nil {
		log.Fatal(err)
	}
	store, err := keystore.Create(context.Background(), filepath.Join(dir, "billing.store"),
		keystore.Passphrase([]byte("seven words that nobody else would choose")), me)
	if err != nil {
		log.Fatal(err)
	}
	defer store.Close()

	// A service calls store.Run(ctx, policy) in a goroutine instead.
	if _, err := store.Rotate(keystore.DefaultRotation); err != nil {
		log.Fatal(err)
	}
	fmt.Println("nothing due:", len(me.Keys()), "keys")
	id, err := store.Add(keystore.KeyRef{Use: keys.UseSigning})
	if err != nil {
		log.Fatal(err)
	}
	if err := store.Promote(keystore.KeyRef{Use: keys.UseSigning, TinkID: id}); err != nil {
		log.Fatal(err)
	}
	for _, k := range me.Keys() {
		fmt.Println(k.Use, k.Stage)
	}
	// Output:
	// nothing due: 2 keys
	// signing retiring
	// signing primary
	// sealing primary
}
