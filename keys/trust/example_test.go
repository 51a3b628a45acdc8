package trust_test

import (
	"context"
	"fmt"
	"log"

	"github.com/hopseal/hopseal/keys"
	"github.com/hopseal/hopseal/keys/trust"
)

// This is how to trust a peer on purpose: the application asks a person to compare the fingerprint,
// and admits the peer. From then on any other is refused.
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
