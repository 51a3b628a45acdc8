//go:build !hopseal_npm

package envelope_test

import (
	"errors"
	"fmt"
	"log"

	"github.com/hopseal/hopseal/envelope"
	"github.com/hopseal/hopseal/keys"
)

// Order is what two services have agreed to send each other.
type Order struct {
	ID    uint64 `msgpack:"id"`
	Items []Item `msgpack:"items" hopseal:"max=100"`
	Note  string `msgpack:"note,omitempty" hopseal:"max=4096"`
}

type Item struct {
	Name  string `msgpack:"name" hopseal:"max=64"`
	Count uint16 `msgpack:"count"`
}

// Validate is asked before an Order is sealed, and before one is given out.
func (o *Order) Validate() error {
	if len(o.Items) == 0 {
		return errors.New("an order without items")
	}
	return nil
}

// The shop seals an order; the warehouse gets an Order and nothing else.
func ExampleSealValue() {
	shared, err := keys.GenerateSharedKeyset()
	if err != nil {
		log.Fatal(err)
	}
	sealer := envelope.Sealer{Shared: shared, Party: "shop", ToParty: "warehouse", Context: "orders"}
	opener := envelope.Opener{
		Shared: shared, Party: "warehouse", FromParty: "shop", Context: "orders",
		Replay: envelope.FirstReplayGuard(shared),
	}

	sealed, err := envelope.SealValue(&sealer, nil, Order{ID: 7, Items: []Item{{"pears", 42}}})
	if err != nil {
		log.Fatal(err)
	}
	order, header, err := envelope.OpenValue[Order](&opener, sealed)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%+v from %q\n", order, header.Party)
	// Output: {ID:7 Items:[{Name:pears Count:42}] Note:} from "shop"
}

// The sender is who it should be, and sends what it should not.
func ExampleValueError() {
	shared, err := keys.GenerateSharedKeyset()
	if err != nil {
		log.Fatal(err)
	}
	sealer := envelope.Sealer{Shared: shared, Party: "shop", ToParty: "warehouse", Context: "orders"}
	opener := envelope.Opener{
		Shared: shared, Party: "warehouse", FromParty: "shop", Context: "orders",
		Replay: envelope.FirstReplayGuard(shared),
	}

	type LargeItem struct {
		Name  string `msgpack:"name"`
		Count int    `msgpack:"count"`
	}
	sealed, err := envelope.SealValue(&sealer, nil, map[string]LargeItem{"first": {"pears", 70000}})
	if err != nil {
		log.Fatal(err)
	}
	_, header, err := envelope.OpenValue[map[string]Item](&opener, sealed)
	if refused, ok := errors.AsType[*envelope.ValueError](err); ok {
		fmt.Printf("from %q: %s at %s\n", header.Party, refused.Reason, refused.Path)
	}
	fmt.Println("does not open:", errors.Is(err, envelope.ErrOpen))
	// Output:
	// from "shop": not an integer in the range of uint16 at [0].count
	// does not open: false
}
