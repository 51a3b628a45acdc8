package envelope_test

import (
	"fmt"
	"log"
	"time"

	"github.com/hopseal/hopseal/envelope"
	"github.com/hopseal/hopseal/keys"
)

// Alice seals to Bob; Bob expects Alice.
func Example() {
	alice, err := keys.GenerateIdentity("alice")
	if err != nil {
		log.Fatal(err)
	}
	bob, err := keys.GenerateIdentity("bob")
	if err != nil {
		log.Fatal(err)
	}

	sealer := envelope.Sealer{
		From:    alice,
		To:      []*keys.PublicIdentity{bob.Public()},
		Context: "orders",
	}
	sealed, err := sealer.Seal(nil, []byte("forty-two crates"))
	if err != nil {
		log.Fatal(err)
	}

	opener := envelope.Opener{
		Identity: bob,
		From:     alice.Public(), // after a keys.Verifier has said yes
		Context:  "orders",
		Replay:   envelope.NewReplayGuard(time.Time{}),
	}
	message, _, err := opener.Open(nil, sealed)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s\n", message)

	_, _, err = opener.Open(nil, sealed)
	fmt.Println("again:", err)
	// Output:
	// forty-two crates
	// again: envelope: message does not open
}

// Two services that share a keyset name their parties.
func ExampleSealer_shared() {
	shared, err := keys.GenerateSharedKeyset()
	if err != nil {
		log.Fatal(err)
	}
	sealer := envelope.Sealer{Shared: shared, Party: "shop", ToParty: "warehouse", Context: "orders"}
	sealed, err := sealer.Seal(nil, []byte("forty-two crates"))
	if err != nil {
		log.Fatal(err)
	}
	opener := envelope.Opener{
		Shared: shared, Party: "warehouse", FromParty: "shop", Context: "orders",
		Replay: envelope.NewReplayGuard(time.Time{}),
	}
	message, header, err := opener.Open(nil, sealed)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s from %q\n", message, header.Party)
	// Output: forty-two crates from "shop"
}
