//go:build !hopseal_npm

package envelope

import (
	"reflect"

	"github.com/hopseal/hopseal/internal/typed"
)

// The npm package's core does not build this file and has no use for it: the MessagePack
// library alone would make the core too large.

// A ValueError says what is wrong with a value: one that [SealValue] does not seal,
// or one in an authentic message that [OpenValue] does not give out.
//
// It does not match [ErrOpen]: the sender of the message is known by then. It is for the
// local caller. Its texts name fields and types of the program, and hold nothing from the
// message.
//
// Path leads to the part that is wrong, such as "orders[3].price", by the names in the
// encoding. It is "" for the whole value. An entry of a map has its number in the order of
// the keys, since keys may be secret. Reason is for people. If the type's Validate method
// refused the value, Unwrap returns its error.
type ValueError = typed.ValueError

var values = typed.Texts{Value: "envelope: value: ", NoShape: "envelope: %v cannot be sealed as a value: %v"}

// SealValue seals v as [Sealer.Seal] seals bytes. [OpenValue] with the same type returns the
// same value.
//
// T may be made of booleans, integers, floats, strings, byte strings ([]byte and [N]byte),
// slices, arrays, maps with string keys, structs, and pointers to types that cannot be nil
// themselves. If T is a pointer, v must not be nil. SealValue refuses all other types:
// interfaces, since only T says what may arrive; channels and functions; types that encode
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
// All fields must arrive, and no others. Only a field with omitempty may be missing: it is
// left out if it has its zero value. So a field that is added later must have omitempty, and
// may be set only once every receiver knows it.
//
// max is the largest length of a string or byte string, in bytes, or of a slice or map, in
// elements. If T, or a pointer to it, has a method Validate() error, that is called too.
//
// An error of type [*ValueError] says that v cannot be sent: it has NaN, text that is not
// UTF-8, more than 16 levels of structs, slices and maps, or a length above its max, or it
// takes much more memory than bytes on the way (see OpenValue). Any other error says that
// T, or the Sealer, cannot be used like this.
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

// OpenValue opens a message as [Opener.Open] does, and decodes the value that [SealValue]
// sealed as the same T. The value is exactly what T declares: no field is unknown, missing
// or there twice, each integer fits its type, each array has its length. A value has one
// encoding, and OpenValue takes no other.
//
// An error that matches [ErrOpen] says, as it does for Open, that the message does not open.
// A [*ValueError] says that the message opened and that T refuses the value. OpenValue then
// returns the Header, so that the caller can tell which message it was, and the replay guard
// refuses the message from then on, whatever T it is opened as. Any other error says that T,
// or the Opener, cannot be used like this; then nothing was opened.
//
// Opening n bytes allocates at most 8 times n and little more than one MiB, beside T itself.
// OpenValue refuses a value that needs more, and SealValue does not seal one: some ten
// thousand very small entries under short names in a map need more, or some hundred thousand
// in a []int.
//
// The Context tells kinds of messages apart. Give each T its own Context, or a message that
// was sealed as one T may pass for another with the same fields.
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
