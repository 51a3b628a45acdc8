package envelope_test

import (
	"bytes"
	"fmt"
	"io"
	"log"

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
		From:     alice.Public(), // after a trust.Verifier has said yes
		Context:  "orders",
		Replay:   envelope.FirstReplayGuard(bob), // kept with bob: see ReplayGuard.Bytes
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
		Replay: envelope.FirstReplayGuard(shared),
	}
	message, header, err := opener.Open(nil, sealed)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s from %q\n", message, header.Party)
	// Output: forty-two crates from "shop"
}

// people makes two identities for the examples.
func people() (alice, bob *keys.Identity) {
	alice, err := keys.GenerateIdentity("alice")
	if err != nil {
		log.Fatal(err)
	}
	if bob, err = keys.GenerateIdentity("bob"); err != nil {
		log.Fatal(err)
	}
	return alice, bob
}

// Content of any size goes through a stream, in constant memory. Only Finish makes it
// one that opens, so it comes after all errors; Close, which is deferred, gives up a
// stream that is not finished. The reader must not be believed before its end.
func ExampleSealer_NewWriter() {
	alice, bob := people()
	sealer := envelope.Sealer{From: alice, To: []*keys.PublicIdentity{bob.Public()}, ContentType: "text/csv"}
	var file bytes.Buffer
	w, err := sealer.NewWriter(&file)
	if err != nil {
		log.Fatal(err)
	}
	defer w.Close()
	if _, err := io.Copy(w, bytes.NewReader(make([]byte, 1_000_000))); err != nil {
		log.Fatal(err)
	}
	if err := w.Finish(); err != nil {
		log.Fatal(err)
	}

	opener := envelope.Opener{Identity: bob, From: alice.Public(), InsecureAllowReplay: true} // a file of ours, not a message
	r, err := opener.NewReader(&file)
	if err != nil {
		log.Fatal(err)
	}
	n, err := io.Copy(io.Discard, r)
	fmt.Println(n, err, r.Verified())
	// Output: 1000000 <nil> true
}

// A file that is read here and there is verified once, when it is opened.
func ExampleOpener_NewReaderAt() {
	alice, bob := people()
	sealer := envelope.Sealer{From: alice, To: []*keys.PublicIdentity{bob.Public()}}
	var file bytes.Buffer
	w, err := sealer.NewWriter(&file)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Fprint(w, "forty-two crates")
	if err := w.Finish(); err != nil {
		log.Fatal(err)
	}

	opener := envelope.Opener{Identity: bob, From: alice.Public(), InsecureAllowReplay: true}
	r, err := opener.NewReaderAt(bytes.NewReader(file.Bytes()), int64(file.Len()))
	if err != nil {
		log.Fatal(err)
	}
	part := make([]byte, 6)
	if _, err := r.ReadAt(part, 10); err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s of %d bytes\n", part, r.Size())
	// Output: crates of 16 bytes
}

// A gateway turns forgeries away. It holds no key that reads.
func ExampleVerifier() {
	alice, bob := people()
	sealer := envelope.Sealer{From: alice, To: []*keys.PublicIdentity{bob.Public()}, Context: "orders"}
	sealed, err := sealer.Seal(nil, []byte("forty-two crates"))
	if err != nil {
		log.Fatal(err)
	}
	gateway := envelope.Verifier{From: alice.Public(), Context: "orders"}
	_, err = gateway.Verify(sealed)
	fmt.Println("genuine:", err)
	sealed[len(sealed)-100] ^= 1
	_, err = gateway.Verify(sealed)
	fmt.Println("changed:", err)
	// Output:
	// genuine: <nil>
	// changed: envelope: message does not open
}

// A stored message is sealed again for somebody who joined later. Its sender was
// among the recipients.
func ExampleSealer_Rewrap() {
	alice, bob := people()
	sealer := envelope.Sealer{From: alice, To: []*keys.PublicIdentity{alice.Public()}}
	stored, err := sealer.Seal(nil, []byte("forty-two crates"))
	if err != nil {
		log.Fatal(err)
	}
	sealer.To = append(sealer.To, bob.Public())
	if stored, err = sealer.Rewrap(nil, stored); err != nil {
		log.Fatal(err)
	}
	opener := envelope.Opener{Identity: bob, From: alice.Public(), InsecureAllowReplay: true}
	message, _, err := opener.Open(nil, stored)
	fmt.Printf("%s %v\n", message, err)
	// Output: forty-two crates <nil>
}
