//go:build !js

package e2e_test

import (
	"context"
	"fmt"
	"log"
	"net/http/httptest"

	"github.com/hopseal/hopseal/e2e"
	"github.com/hopseal/hopseal/keys"
	"github.com/hopseal/hopseal/keys/trust"
)

// A shop keeps the proof of each order, which shows an arbiter who has ordered what.
func ExampleVerifyProof() {
	ctx := context.Background()
	type kept struct {
		by          *keys.PublicIdentity
		proof, data []byte
	}
	archive := make(chan kept, 1)
	session, stop := dialShop(func(ctx context.Context, s *e2e.Session) error {
		return s.Serve(ctx, func(ctx context.Context, r *e2e.Request) ([]byte, error) {
			archive <- kept{s.Peer().PublicIdentity, r.Proof, r.Data}
			return nil, nil
		}, nil)
	})
	defer stop()
	if _, err := session.Call(ctx, "order.create", []byte("three pears")); err != nil {
		log.Fatal(err)
	}

	k := <-archive
	order, err := e2e.VerifyProof(k.by, k.proof, k.data)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s has sent %s: %q\n", k.by.Name(), order.Type, order.Data)
	_, err = e2e.VerifyProof(k.by, k.proof, []byte("three thousand pears"))
	fmt.Println(err)
	// Output:
	// customer has sent order.create: "three pears"
	// e2e: this does not prove that the identity has sent this message
}

// dialShop starts a server that runs serve, here on a free port of this machine, and
// returns the session of a customer with it.
func dialShop(serve func(context.Context, *e2e.Session) error) (customer *e2e.Session, stop func()) {
	shopID, err := keys.GenerateIdentity("shop")
	if err != nil {
		log.Fatal(err)
	}
	customerID, err := keys.GenerateIdentity("customer")
	if err != nil {
		log.Fatal(err)
	}
	srv, err := e2e.NewServer(e2e.ServerConfig{
		Identity: shopID,
		Verifier: trust.Pinned(customerID.Fingerprint()),
		Protocol: "shop/1",
		Options:  e2e.Options{Proof: e2e.ProofEd25519},
	}, serve)
	if err != nil {
		log.Fatal(err)
	}
	web := httptest.NewServer(srv) // or http.Handle("/shop", srv)
	customer, err = e2e.Dial(context.Background(), web.URL, e2e.Config{
		Identity: customerID,
		Verifier: trust.Pinned(shopID.Fingerprint()),
		Protocol: "shop/1",
		Options:  e2e.Options{Proof: e2e.ProofEd25519},
	})
	if err != nil {
		log.Fatal(err)
	}
	return customer, func() {
		customer.Close()
		srv.Shutdown(context.Background())
		web.Close()
	}
}
