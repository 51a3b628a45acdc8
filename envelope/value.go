//go:build !hopseal_npm

package envelope

import (
	"reflect"

	"github.com/hopseal/hopseal/internal/typed"
)

// This file stays out of the npm package's core, which has no use for it: the
// MessagePack library alone would take the core past its size.

// A ValueError says what is wrong with a value: one that [SealValue] does not seal,
// or one in an authentic message that [OpenValue] does not give out.
//
// It does not match [ErrOpen]. Who sealed the message is known by then, so it is for
// the local caller: its texts name the fields and types of the program and hold
// nothing of the message's own.
//
// Path leads to what is wrong, such as "orders[3].price", by the names in the encoding. It
// is "" for the whole value. Entries of a map count in the order of their keys, which may
// be secret. Reason is for people. Unwrap returns the error of the type's Validate method,
// if that is what refused the value.
type ValueError = typed.ValueError

var values = typed.Texts{Value: "envelope: value: ", NoShape: "envelope: %v cannot be sealed as a value: %v"}

// SealValue seals v like [Sealer.Seal] seals bytes. What it writes, [OpenValue] with
// the same type reads, and gives the same value.
//
// T may be made of booleans, integers, floats, strings, byte strings ([]byte and
// [N]byte), slices, arrays, maps with string keys, structs, and pointers to what
// cannot be nil itself; where T is a pointer, v must not be nil. It is refused if it holds anything else: interfaces, since
// only T says what may arrive; channels and functions; types that encode
// themselves, such as [time.Time] (send Unix milliseconds); embedded structs.
//
// The encoding is MessagePack; a struct is a map by field names, or by the names
// in tags. Fields that are not exported, and those tagged msgpack:"-", are left out.
//
//	type Order struct {
//		ID    uint64   `msgpack:"id"`
//		Items []Item   `msgpack:"items" hopseal:"max=100"`
//		Note  string   `msgpack:"note,omitempty" hopseal:"max=4096"`
//		Price *float64 `msgpack:"price"` // nil is sent as nil
//	}
//
// All fields must arrive, except those with omitempty, which are left out where
// they have their zero value; and no others. So a field that is added later has to
// have omitempty, and may be set only once every receiver knows it.
//
// max is the largest length of a string or byte string, in bytes, or of a slice or
// map, in elements. If T, or a pointer to it, has a method Validate() error, it is
// asked too.
//
// An error of type [*ValueError] says that v cannot be sent: NaN, text that is not
// UTF-8, more than 16 levels of structs, slices and maps, a length above its max, or
// what takes much more memory than bytes on the way (see OpenValue). Any other error
// says that T, or the Sealer, cannot be used like this.
func SealValue[T any](s *Sealer, dst []byte, v T) ([]byte, error) {
	if s == nil {
		return nil, errNil("Sealer")
	}
	encoded, err := values.Encode(reflect.ValueOf(&v).Elem())
	if err != nil {
		return nil, err
	}
	return s.Seal(dst, encoded)
}

// OpenValue opens a message like [Opener.Open], and decodes what [SealValue] sealed
// as the same T. Everything in it is exactly what T declares: no field is unknown,
// missing or there twice, each integer fits its type, each array its length; there
// is one encoding of a value, and no other is taken.
//
// An error that matches [ErrOpen] says, as it does for Open, that the message does
// not open. A [*ValueError] says that it did and that T refuses the value; then the
// Header is returned, so that the caller can tell which message it was. The replay
// guard has seen such a message and refuses it from then on, whatever T it is
// opened as. Any other error says that T, or the Opener, cannot be used like this;
// then nothing was opened.
//
// Opening n bytes allocates at most 8 times n and little more than one MiB, beside T
// itself. A value that needs more is refused, and SealValue does not seal one: that
// takes some ten thousand very small things under short names in a map, or some
// hundred thousand in a []int.
//
// The Context tells kinds of messages apart. Give each T its own, or a message that
// is sealed as one may be taken for another with the same fields.
func OpenValue[T any](o *Opener, sealed []byte) (T, Header, error) {
	var v, none T
	if o == nil {
		return none, Header{}, errNil("Opener")
	}
	shape, err := values.Shape(reflect.TypeFor[T]())
	if err != nil {
		return none, Header{}, err
	}
	encoded, h, err := o.Open(nil, sealed)
	if err != nil {
		return none, Header{}, err
	}
	if err := values.Decode(shape, encoded, reflect.ValueOf(&v).Elem()); err != nil {
		return none, h, err
	}
	return v, h, nil
}
