//go:build !js

package relay_test

import (
	"context"
	"fmt"
	"log"
	"net/http/httptest"

	"github.com/hopseal/hopseal/transport"
	"github.com/hopseal/hopseal/transport/relay"
)

// Two members of a topic. A program seals presence and payload, because the relay
// reads all that is not sealed.
func Example() {
	hub := relay.New(relay.Options{Accept: &transport.AcceptOptions{Policy: transport.Development}})
	server := httptest.NewServer(hub)
	defer server.Close()
	ctx := context.Background()
	defer hub.Shutdown(ctx)

	ann, err := relay.Dial(ctx, server.URL, &transport.DialOptions{Policy: transport.Development})
	if err != nil {
		log.Fatal(err)
	}
	defer ann.Close()
	if _, err := ann.Join(ctx, "room", "ann", []byte("ann's public identity")); err != nil {
		log.Fatal(err)
	}

	bob, err := relay.Dial(ctx, server.URL, &transport.DialOptions{Policy: transport.Development})
	if err != nil {
		log.Fatal(err)
	}
	defer bob.Close()
	joined, err := bob.Join(ctx, "room", "bob", []byte("bob's public identity"))
	if err != nil {
		log.Fatal(err)
	}
	for _, m := range joined.Members {
		fmt.Printf("%s was there before, and shows %s\n", m.Name, m.Presence)
	}
	if err := bob.Publish(ctx, "room", []byte("sealed")); err != nil {
		log.Fatal(err)
	}

	for range 2 {
		event, err := ann.Next(ctx)
		if err != nil {
			log.Fatal(err)
		}
		switch e := event.(type) {
		case relay.Entered:
			fmt.Println(e.Name, "entered")
		case relay.Message:
			fmt.Println("a message from bob:", e.From == joined.ID, string(e.Payload))
		}
	}
	// Output:
	// ann was there before, and shows ann's public identity
	// bob entered
	// a message from bob: true sealed
}
