package envelope_test

import (
	"fmt"
	"log"

	"github.com/hopseal/hopseal/envelope"
	"github.com/hopseal/hopseal/keys"
)

// What a hop sees of an envelope, without any key. Nothing of it is authenticated.
func ExampleInspect() {
	shared, err := keys.GenerateSharedKeyset()
	if err != nil {
		log.Fatal(err)
	}
	s := envelope.Sealer{Shared: shared, Party: "billing", ToParty: "warehouse", Context: "orders"}
	sealed, err := s.Seal(nil, []byte("two crates"))
	if err != nil {
		log.Fatal(err)
	}

	in, err := envelope.Inspect(sealed)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("from %q, about %q\n", in.Header.Party, in.Header.Context) // escaped: a stranger's text
	content := in.Content()
	fmt.Printf("%d to %d bytes are hidden in it\n", content.Least, content.Most)
	for _, p := range in.Parts[:4] {
		fmt.Printf("%2d %2d %s: %s\n", p.Offset, p.Size, p.Section, p.Name)
	}
	// Output:
	// from "billing", about "orders"
	// 0 to 60 bytes are hidden in it
	//  0  1 framing: envelope array
	//  1  1 framing: version
	//  2  2 framing: header size
	//  4  1 header: header array
}
