//go:build !js

package keys_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"path/filepath"

	"github.com/hopseal/hopseal/keys"
	"github.com/hopseal/hopseal/keys/trust"
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
	secret := keys.Passphrase([]byte("seven words that nobody else would choose"))

	me, err := keys.GenerateIdentity("billing")
	if err != nil {
		log.Fatal(err)
	}
	store, err := keys.CreateStore(ctx, path, secret, me)
	if err != nil {
		log.Fatal(err)
	}
	if err := store.Close(); err != nil {
		log.Fatal(err)
	}

	store, err = keys.OpenStore(ctx, path, secret)
	if err != nil {
		log.Fatal(err)
	}
	defer store.Close()
	running, stop := context.WithCancel(ctx)
	defer stop()
	go store.Run(running, keys.DefaultRotation) // keeps it alive: without it every peer refuses the identity after 30 days
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
	store, err := keys.CreateStore(context.Background(), filepath.Join(dir, "billing.store"),
		keys.Passphrase([]byte("seven words that nobody else would choose")), me)
	if err != nil {
		log.Fatal(err)
	}
	defer store.Close()

	// A service calls store.Run(ctx, policy) in a goroutine instead.
	if _, err := store.Rotate(keys.DefaultRotation); err != nil {
		log.Fatal(err)
	}
	fmt.Println("nothing due:", len(me.Keys()), "keys")
	id, err := store.Add(keys.KeyRef{Use: keys.UseSigning})
	if err != nil {
		log.Fatal(err)
	}
	if err := store.Promote(keys.KeyRef{Use: keys.UseSigning, TinkID: id}); err != nil {
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

// Trust a peer on purpose: the application asks a person to compare the
// fingerprint, admits the peer, and from then on any other is refused.
func ExampleKnownPeers() {
	peer, err := keys.GenerateIdentity("warehouse")
	if err != nil {
		log.Fatal(err)
	}
	var known trust.KnownPeers
	want := trust.Expected{Address: "wss://warehouse.example", Role: trust.RoleServer}

	err = known.Verify(context.Background(), want, peer.Public())
	fmt.Println("at first:", err != nil)

	// Here a person compares peer.Public().Fingerprint() with the owner's.
	if err := known.Admit(want, peer.Public()); err != nil {
		log.Fatal(err)
	}
	err = known.Verify(context.Background(), want, peer.Public())
	fmt.Println("once admitted:", err)
	// Output:
	// at first: true
	// once admitted: <nil>
}
