//go:build !js && !hopseal_npm

package e2e_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net/http/httptest"

	"github.com/hopseal/hopseal/e2e"
	"github.com/hopseal/hopseal/keys"
	"github.com/hopseal/hopseal/keys/trust"
)

// Order and Receipt are what a shop and its customers have agreed to send each other.
type Order struct {
	Item  string `msgpack:"item" hopseal:"max=64"`
	Count uint16 `msgpack:"count"`
}

type Receipt struct {
	Number uint64 `msgpack:"number"`
}

// A shop takes orders from customers, and from nobody else, and answers each.
func ExampleMux() {
	ctx := context.Background()
	warehouse, err := keys.GenerateIdentity("warehouse")
	if err != nil {
		log.Fatal(err)
	}
	shop := e2e.NewMux()
	shop.Authorize = func(ctx context.Context, peer e2e.Peer, m e2e.Message) error {
		if m.Type == "stock.set" && peer.Fingerprint() != warehouse.Fingerprint() { // names prove nothing
			return errors.New("only the warehouse may")
		}
		return nil
	}
	e2e.HandleFunc(shop, "order.create", func(ctx context.Context, o Order) (Receipt, error) {
		if o.Item != "pears" {
			return Receipt{}, &e2e.ReplyError{Code: 404, Text: "we have no " + o.Item}
		}
		return Receipt{Number: e2e.RequestFrom(ctx).ID}, nil
	})
	e2e.HandleFunc(shop, "stock.set", func(ctx context.Context, count int) (struct{}, error) {
		return struct{}{}, nil
	})
	session, stop := dialShop(shop, e2e.ProofNone)
	defer stop()

	receipt, err := e2e.CallValue[Receipt](ctx, session, "order.create", Order{"pears", 3})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%+v\n", receipt)

	_, err = e2e.CallValue[Receipt](ctx, session, "order.create", Order{"plums", 1})
	fmt.Println(err)
	_, err = e2e.CallValue[struct{}](ctx, session, "stock.set", 7)
	fmt.Println(err)
	_, err = session.Call(ctx, "order.delete", nil)
	fmt.Println(err)
	// Output:
	// {Number:1}
	// e2e: the other end answered with error 404: we have no plums
	// e2e: the other end refused message 3: this end may not send such a message
	// e2e: the other end refused message 4: it does not serve messages of this type
}

// A shop keeps the proof of each order, which shows an arbiter who has ordered what.
func ExampleVerifyProof() {
	ctx := context.Background()
	type kept struct {
		by          *keys.PublicIdentity
		proof, data []byte
	}
	archive := make(chan kept, 1)
	shop := e2e.NewMux()
	shop.Handle("order.create", func(ctx context.Context, r *e2e.Request) ([]byte, error) {
		archive <- kept{r.Session.Peer().PublicIdentity, r.Proof, r.Data}
		return nil, nil
	})
	session, stop := dialShop(shop, e2e.ProofEd25519)
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

// dialShop starts a server that serves by a Mux, here on a free port of this machine, and
// returns the session of a customer with it.
func dialShop(mux *e2e.Mux, proof e2e.Proof) (customer *e2e.Session, stop func()) {
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
		Options:  e2e.Options{Proof: proof},
	}, mux.Serve)
	if err != nil {
		log.Fatal(err)
	}
	web := httptest.NewServer(srv) // or http.Handle("/shop", srv)
	customer, err = e2e.Dial(context.Background(), web.URL, e2e.Config{
		Identity: customerID,
		Verifier: trust.Pinned(shopID.Fingerprint()),
		Protocol: "shop/1",
		Options:  e2e.Options{Proof: proof},
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
