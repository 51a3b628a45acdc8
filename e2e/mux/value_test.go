package mux_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/hopseal/hopseal/e2e"
	"github.com/hopseal/hopseal/e2e/mux"
)

type order struct {
	ID    uint64   `msgpack:"id"`
	Items []string `msgpack:"items" hopseal:"max=2"`
}

func (o *order) Validate() error {
	if o.ID == 13 {
		return errors.New("unlucky")
	}
	return nil
}

type receipt struct {
	Order uint64 `msgpack:"order"`
	By    string `msgpack:"by"`
}

func TestValues(t *testing.T) {
	told, heard := refusals()
	c, s := connect(t, func(c *e2e.Config, _ *e2e.ServerConfig) { c.Refused = told })
	id, err := mux.SendValue(t.Context(), c, "order", order{7, []string{"pears"}})
	if err != nil {
		t.Fatal(err)
	}
	got, m, err := mux.ReceiveValue[order](t.Context(), s, "order")
	if err != nil || got.ID != 7 || m.ID != id || m.Type != "order" {
		t.Fatalf("%+v, %+v, %v", got, m, err)
	}
	var bad *mux.ValueError
	for _, o := range []order{{7, []string{"a", "b", "c"}}, {13, nil}} {
		if _, err := mux.SendValue(t.Context(), c, "order", o); !errors.As(err, &bad) {
			t.Errorf("%+v was sent: %v", o, err)
		}
	}
	// What the type at the other end refuses.
	for _, send := range []func() (uint64, error){
		func() (uint64, error) { return mux.SendValue(t.Context(), c, "order", receipt{1, "x"}) },
		func() (uint64, error) { return c.SendMessage(t.Context(), "order", []byte("\xff")) },
		func() (uint64, error) { return c.SendMessage(t.Context(), "order", nil) },
		func() (uint64, error) { return mux.SendValue(t.Context(), c, "other", order{7, nil}) },
	} {
		id, err := send()
		if err != nil {
			t.Fatal(err)
		}
		_, m, err := mux.ReceiveValue[order](t.Context(), s, "order")
		if !errors.As(err, &bad) || m.ID != id {
			t.Errorf("message %d: %+v, %v", id, m, err)
		}
		why := e2e.RefusedValue
		if m.Type == "other" {
			why = e2e.RefusedType
		}
		wantRefused(t, <-heard, id, why)
	}
	if _, _, err := mux.ReceiveValue[any](t.Context(), s, "order"); err == nil || errors.As(err, &bad) {
		t.Errorf("a type that holds anything: %v", err)
	}
}

func TestCallValue(t *testing.T) {
	c, s := connect(t, nil)
	router := mux.New()
	mux.HandleFunc(router, "order", func(ctx context.Context, o order) (receipt, error) {
		if o.ID == 404 {
			return receipt{}, &e2e.ReplyError{Code: 404, Text: "no such order"}
		}
		if o.ID == 500 {
			return receipt{By: "\xff"}, nil // cannot be sent
		}
		return receipt{o.ID, mux.RequestFrom(ctx).Session.Peer().Name()}, nil
	})
	serving(t, s, router)
	ctx := t.Context()
	if got, err := mux.CallValue[receipt](ctx, c, "order", order{7, nil}); err != nil || got != (receipt{7, "alice"}) {
		t.Fatalf("%+v, %v", got, err)
	}
	_, err := mux.CallValue[receipt](ctx, c, "order", receipt{7, "x"})
	wantRefused(t, err, 0, e2e.RefusedValue)
	_, err = mux.CallValue[receipt](ctx, c, "order", order{500, nil})
	wantRefused(t, err, 0, e2e.RefusedFailed)
	var reply *e2e.ReplyError
	if _, err := mux.CallValue[receipt](ctx, c, "order", order{404, nil}); !errors.As(err, &reply) || reply.Code != 404 {
		t.Error(err)
	}
	var bad *mux.ValueError
	if _, err := mux.CallValue[order](ctx, c, "order", order{7, nil}); !errors.As(err, &bad) {
		t.Errorf("an answer of another type: %v", err)
	}
	if _, err := mux.CallValue[receipt](ctx, c, "order", order{13, nil}); !errors.As(err, &bad) || errors.Unwrap(bad).Error() != "unlucky" {
		t.Errorf("a request that does not validate: %v", err)
	}
}

func TestHandleFuncRefusesWhatIsNoValue(t *testing.T) {
	wantPanic(t, "no value", func() {
		mux.HandleFunc(mux.New(), "a", func(context.Context, any) (int, error) { return 0, nil })
	})
	wantPanic(t, "no answer", func() {
		mux.HandleFunc(mux.New(), "a", func(context.Context, int) (func(), error) { return nil, nil })
	})
}

// The texts say which package was called, and where in the value to look.
func TestTextsOfValueErrors(t *testing.T) {
	c, s := connect(t, nil)
	for _, test := range []struct {
		err  error
		want string
	}{
		{sendOrder(c, order{7, []string{"a", "b", "c"}}), "e2e: value: items: "},
		{sendOrder(c, order{13, nil}), "e2e: value: unlucky"},
		{func() error {
			send(t, c, "other")
			_, _, err := mux.ReceiveValue[order](t.Context(), s, "order")
			return err
		}(), "e2e: value: its message has another type than the one expected"},
		{func() error { _, err := mux.SendValue[any](t.Context(), c, "order", nil); return err }(), "e2e: interface {} cannot be sent as a value: "},
	} {
		if test.err == nil || !strings.HasPrefix(test.err.Error(), test.want) {
			t.Errorf("%v, want %q", test.err, test.want)
		}
	}
}

func sendOrder(s *e2e.Session, o order) error {
	_, err := mux.SendValue(context.Background(), s, "order", o)
	return err
}
