package keys_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"path/filepath"

	"github.com/hopseal/hopseal/keys"
)

// Make an identity once, keep it in a file, load it at every start.
func Example() {
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "billing.key")
	passphrase := []byte("seven words that nobody else would choose")

	me, err := keys.GenerateIdentity("billing")
	if err != nil {
		log.Fatal(err)
	}
	if err := keys.SaveIdentity(path, me, passphrase); err != nil {
		log.Fatal(err)
	}

	again, err := keys.LoadIdentity(path, passphrase)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(again.Name(), again.Fingerprint() == me.Fingerprint())
	// Output: billing true
}

// Trust a peer on purpose: the application asks a person to compare the
// fingerprint, admits the peer, and from then on any other is refused.
func ExampleKnownPeers() {
	peer, err := keys.GenerateIdentity("warehouse")
	if err != nil {
		log.Fatal(err)
	}
	var known keys.KnownPeers
	want := keys.Expected{Address: "wss://warehouse.example", Role: keys.RoleServer}

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
