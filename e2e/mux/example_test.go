//go:build !js

package mux_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net/http/httptest"

	"github.com/hopseal/hopseal/e2e"
	"github.com/hopseal/hopseal/e2e/mux"
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
	shop := mux.New()
	shop.Authorize = func(ctx context.Context, peer e2e.Peer, m e2e.Message) error {
		if m.Type == "stock.set" && peer.Fingerprint() != warehouse.Fingerprint() { // names prove nothing
			return errors.New("only the warehouse may")
		}
		return nil
	}
	mux.HandleFunc(shop, "order.create", func(ctx context.Context, o Order) (Receipt, error) {
		if o.Item != "pears" {
			return Receipt{}, &e2e.ReplyError{Code: 404, Text: "we have no " + o.Item}
		}
		return Receipt{Number: mux.RequestFrom(ctx).ID}, nil
	})
	mux.HandleFunc(shop, "stock.set", func(ctx context.Context, count int) (struct{}, error) {
		return struct{}{}, nil
	})
	session, stop := dialShop(shop)
	defer stop()

	receipt, err := mux.CallValue[Receipt](ctx, session, "order.create", Order{"pears", 3})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%+v\n", receipt)

	_, err = mux.CallValue[Receipt](ctx, session, "order.create", Order{"plums", 1})
	fmt.Println(err)
	_, err = mux.CallValue[struct{}](ctx, session, "stock.set", 7)
	fmt.Println(err)
	_, err = session.Call(ctx, "order.delete", nil)
	fmt.Println(err)
	// Output:
	// {Number:1}
	// e2e: the other end answered with error 404: we have no plums
	// e2e: the other end refused message 3: this end may not send such a message
	// e2e: the other end refused message 4: it does not serve messages of this type
}

// dialShop starts a server that serves by a Mux, here on a free port of this machine, and
// returns the session of a customer with it.
func dialShop(shop *mux.Mux) (customer *e2e.Session, stop func()) {
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
	}, shop.Serve)
	if err != nil {
		log.Fatal(err)
	}
	web := httptest.NewServer(srv) // or http.Handle("/shop", srv)
	customer, err = e2e.Dial(context.Background(), web.URL, e2e.Config{
		Identity: customerID,
		Verifier: trust.Pinned(shopID.Fingerprint()),
		Protocol: "shop/1",
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
