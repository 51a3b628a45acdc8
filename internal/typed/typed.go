// Package typed writes Go values as MessagePack in the form that package strict
// accepts, and reads them back, each as one type that was looked at beforehand.
//
// The MessagePack library that does it is not made for strangers' bytes: it takes
// text for bytes, nothing for a struct and large integers for small ones, lets the
// last of two equal keys win, and makes room for as many elements as a header
// promises. So [Shape.Decode] gives it nothing before [strict.Valid] and a walk
// over bytes and type together have found that every value is what the type
// declares, and that all of them take memory in proportion; and it encodes what
// came out again, which must give the same bytes.
//
// The library's encoder writes tokens only, in an order that is decided here: on
// its own it writes fields as they are declared and maps at random, and follows a
// pointer that leads back to itself until the stack is full.
package typed

import (
	"bytes"
	"io"
	"reflect"

	"github.com/vmihailenco/msgpack/v5"

	"github.com/hopseal/hopseal/internal/strict"
)

// Encode returns the encoding of v, an addressable value of the Shape's type, after
// the same check that it has to pass before it is decoded. Errors are of type
// [*ValueError].
func (s *Shape) Encode(v reflect.Value) ([]byte, error) {
	var b bytes.Buffer
	if err := s.write(&b, v); err != nil {
		return nil, err
	}
	if err := s.check(b.Bytes()); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

func (s *Shape) write(w io.Writer, v reflect.Value) error {
	return (&encoder{msgpack.NewEncoder(w)}).value(s, v, 0)
}

// Decode reads b into v, a zero value of the Shape's type that can be set. It
// allocates at most 7 times len(b) and a constant, see [slack]. Errors are of type
// [*ValueError]; then v holds nothing of use.
func (s *Shape) Decode(b []byte, v reflect.Value) error {
	if err := s.check(b); err != nil {
		return err
	}
	if err := read(b, v); err != nil {
		return failed("does not decode")
	}
	same := comparer{rest: b}
	if err := s.write(&same, v); err != nil {
		return err
	}
	if len(same.rest) != 0 {
		return failed(otherEncoding)
	}
	return nil
}

// read lets the library decode what check has passed. The library's own limit would
// make long texts and lists grow step by step, each a copy.
func read(b []byte, v reflect.Value) error {
	d := msgpack.NewDecoder(bytes.NewReader(b))
	d.DisableAllocLimit(true)
	return d.DecodeValue(v)
}

// check reports whether b may be decoded.
func (s *Shape) check(b []byte) error {
	if strict.Valid(b) != nil {
		return failed("not in the accepted encoding")
	}
	c := checker{r: strict.NewReader(b), left: perByte*uint64(len(b)) + slack}
	if s.typ.Kind() == reflect.Pointer && c.r.Nil() {
		return failed("nil") // who is given a pointer without an error will follow it
	}
	if err := c.value(s, noMax); err != nil {
		return err
	}
	if c.r.Done() != nil {
		return failed("not in the accepted encoding")
	}
	return nil
}

const otherEncoding = "not in the one encoding of its value"

// A comparer is a writer that fails at the first byte which is not the expected one.
type comparer struct{ rest []byte }

func (c *comparer) Write(p []byte) (int, error) {
	if !bytes.HasPrefix(c.rest, p) {
		return 0, failed(otherEncoding)
	}
	c.rest = c.rest[len(p):]
	return len(p), nil
}

func (c *comparer) WriteByte(b byte) error {
	if len(c.rest) == 0 || c.rest[0] != b {
		return failed(otherEncoding)
	}
	c.rest = c.rest[1:]
	return nil
}
