package mux

import (
	"context"
	"reflect"

	"github.com/hopseal/hopseal/e2e"
	"github.com/hopseal/hopseal/internal/typed"
)

// A ValueError says what is wrong with a value: one that cannot be sent, or one in a
// message that has come. Its texts name the fields and types of the program and hold
// nothing of the message's own.
//
// Path leads to what is wrong, such as "orders[3].price", by the names in the encoding. It
// is "" for the whole value. Entries of a map count in the order of their keys, which may
// be secret. Reason is for people. Unwrap returns the error of the type's Validate method,
// if that is what refused the value.
type ValueError = typed.ValueError

var values = typed.Texts{Value: "e2e: value: ", NoShape: "e2e: %v cannot be sent as a value: %v"}

// SendValue sends v like [e2e.Session.SendMessage] sends bytes. What it writes, a receiver
// with the same T reads, and gives the same value.
//
// T may be made of booleans, integers, floats, strings, byte strings, slices, arrays,
// maps with string keys, structs, and pointers; its encoding and its rules, tags and
// limits are those of values in envelopes, see [envelope.SealValue]. If T, or a pointer
// to it, has a method Validate() error, it is asked.
//
// An error of type [*ValueError] says that v cannot be sent; others are those of
// SendMessage, or say that T cannot be used like this.
//
// [envelope.SealValue]: https://pkg.go.dev/github.com/hopseal/hopseal/envelope#SealValue
func SendValue[T any](ctx context.Context, s *e2e.Session, typ string, v T) (id uint64, err error) {
	data, err := values.Encode(reflect.ValueOf(&v).Elem())
	if err != nil {
		return 0, err
	}
	return s.SendMessage(ctx, typ, data)
}

// ReceiveValue waits for the next message, as [e2e.Session.ReceiveMessage] does, and decodes
// what [SendValue] sent as the same T. Everything in it is exactly what T declares: no
// field is unknown, missing or there twice, each integer fits its type, and there is one
// encoding of a value, and no other is taken. Decoding n bytes allocates at most 8 times
// n and little more than one MiB.
//
// A message of another type than typ, or that T refuses, is refused, and its sender told
// so; the error is then a [*ValueError], with the message, and the session goes on.
func ReceiveValue[T any](ctx context.Context, s *e2e.Session, typ string) (T, e2e.Message, error) {
	var v, none T
	shape, err := values.Shape(reflect.TypeFor[T]())
	if err != nil {
		return none, e2e.Message{}, err
	}
	m, err := s.ReceiveMessage(ctx)
	if err != nil {
		return none, e2e.Message{}, err
	}
	if m.Type != typ {
		s.Refuse(m, e2e.RefusedType)
		return none, m, values.Failed("its message has another type than the one expected")
	}
	if err := values.Decode(shape, m.Data, reflect.ValueOf(&v).Elem()); err != nil {
		s.Refuse(m, e2e.RefusedValue)
		return none, m, err
	}
	return v, m, nil
}

// CallValue is [e2e.Session.Call] with a value as the request and one as the answer, for a
// function that [HandleFunc] serves. Usually the second type need not be written:
//
//	receipt, err := mux.CallValue[Receipt](ctx, session, "order.create", order)
//
// A [*ValueError] says that the request cannot be sent, or that Resp refuses the answer.
func CallValue[Resp, Req any](ctx context.Context, s *e2e.Session, typ string, request Req) (Resp, error) {
	var v, none Resp
	shape, err := values.Shape(reflect.TypeFor[Resp]())
	if err != nil {
		return none, err
	}
	data, err := values.Encode(reflect.ValueOf(&request).Elem())
	if err != nil {
		return none, err
	}
	answer, err := s.Call(ctx, typ, data)
	if err != nil {
		return none, err
	}
	if err := values.Decode(shape, answer, reflect.ValueOf(&v).Elem()); err != nil {
		return none, err
	}
	return v, nil
}

// HandleFunc is [Mux.Handle] for values: what Req refuses is refused, with
// [e2e.RefusedValue], before the function sees it. [RequestFrom] has the rest of the message.
// Where no answer is wanted, what the function returns is dropped: struct{} says that
// there is none.
//
// HandleFunc panics like Handle, and if Req or Resp cannot be values.
func HandleFunc[Req, Resp any](m *Mux, typ string, f func(ctx context.Context, request Req) (Resp, error)) {
	shape, err := values.Shape(reflect.TypeFor[Req]())
	if err == nil {
		_, err = values.Shape(reflect.TypeFor[Resp]())
	}
	if err != nil {
		panic(err.Error())
	}
	m.Handle(typ, func(ctx context.Context, r *e2e.Request) ([]byte, error) {
		var request Req
		if err := values.Decode(shape, r.Data, reflect.ValueOf(&request).Elem()); err != nil {
			return nil, e2e.Refuse(e2e.RefusedValue, err)
		}
		response, err := f(ctx, request)
		if err != nil || r.OneWay {
			return nil, err
		}
		return values.Encode(reflect.ValueOf(&response).Elem())
	})
}
