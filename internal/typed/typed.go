// Package typed writes Go values as MessagePack in the form that package strict
// accepts, and reads them back. It checks the type of each value beforehand.
//
// The MessagePack library below is not made for strangers' bytes: it accepts text for
// bytes, nil for a struct and large integers for small ones, lets the last of two equal
// keys win, and makes room for as many elements as a header promises. So [Shape.Decode]
// first calls [strict.Valid], and walks over bytes and type together: every value must
// be what the type declares, and all of them together must take memory in proportion.
// Only then does the library decode the bytes. Decode then encodes the result again,
// which must give the same bytes.
//
// The library's encoder writes tokens only, and this package decides their order. On
// its own the encoder writes fields as they are declared and maps at random, and
// follows a pointer that leads back to itself until the stack is full.
package typed

import (
	"bytes"
	"io"
	"reflect"

	"github.com/vmihailenco/msgpack/v5"

	"github.com/hopseal/hopseal/internal/strict"
)

// Encode returns the encoding of v, an addressable value of the Shape's type. The
// encoding has passed the check that [Shape.Decode] makes. Errors are of type
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

// Decode reads b into v, a settable zero value of the Shape's type. It allocates at
// most 7 times len(b) and a constant, see [slack]. Errors are of type [*ValueError].
// After an error v holds nothing of use.
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

// read lets the library decode bytes that check has passed. It turns off the library's own
// limit, which would make long texts and lists grow step by step, with a copy at each step.
func read(b []byte, v reflect.Value) error {
	d := msgpack.NewDecoder(bytes.NewReader(b))
	d.DisableAllocLimit(true)
	return d.DecodeValue(v)
}

// check returns an error unless the library may decode b.
func (s *Shape) check(b []byte) error {
	if strict.Valid(b) != nil {
		return failed("not in the accepted encoding")
	}
	c := checker{r: strict.NewReader(b), left: perByte*uint64(len(b)) + slack}
	if s.typ.Kind() == reflect.Pointer && c.r.Nil() {
		return failed("nil") // a caller that gets a pointer and no error will follow the pointer
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

// A comparer is a writer that fails at the first byte that is not the expected one.
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
