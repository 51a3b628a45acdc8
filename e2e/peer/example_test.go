//go:build !js

package peer_test

import (
	"context"
	"fmt"
	"log"
	"net/http/httptest"

	"github.com/hopseal/hopseal/e2e"
	"github.com/hopseal/hopseal/e2e/peer"
	"github.com/hopseal/hopseal/keys"
	"github.com/hopseal/hopseal/transport"
	"github.com/hopseal/hopseal/transport/relay"
)

// Two members of a room on a relay, of whom one calls the other. Pages compiled to
// js/wasm do the same.
func Example() {
	ctx := context.Background()
	hub := relay.New(relay.Options{Accept: &transport.AcceptOptions{Sealed: true}})
	web := httptest.NewServer(hub) // or http.Handle("/relay", hub)
	defer web.Close()
	defer hub.Shutdown(ctx)

	ann, err := keys.GenerateIdentity("ann")
	if err != nil {
		log.Fatal(err)
	}
	bob, err := keys.GenerateIdentity("bob")
	if err != nil {
		log.Fatal(err)
	}
	join := func(me, other *keys.Identity) *peer.Node {
		node, err := peer.Join(ctx, web.URL, "room", peer.Config{
			Session: e2e.Config{Identity: me, Protocol: "hello/1"},
			Members: map[string]keys.Fingerprint{other.Name(): other.Fingerprint()},
		})
		if err != nil {
			log.Fatal(err)
		}
		return node
	}
	bobs := join(bob, ann)
	defer bobs.Close()
	anns := join(ann, bob)
	defer anns.Close()

	session, err := anns.Dial(ctx, "bob")
	if err != nil {
		log.Fatal(err)
	}
	if err := session.Send(ctx, []byte("hello, and nobody in between can read it")); err != nil {
		log.Fatal(err)
	}
	caller, err := bobs.Accept(ctx)
	if err != nil {
		log.Fatal(err)
	}
	message, err := caller.Receive(ctx)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s says: %s\n", caller.Peer().Name(), message)
	// Output: ann says: hello, and nobody in between can read it
}
