package typed

import (
	"math"
	"reflect"
	"strconv"

	"github.com/hopseal/hopseal/internal/strict"
)

// A checker walks over a Shape and over bytes that strict.Valid has passed, both together.
// It recurses no deeper than the bytes nest, and allocates only to say what is wrong.
type checker struct {
	r       strict.Reader
	left    uint64 // bytes that decoding may still allocate
	longest int    // size of the longest text so far
}

func (c *checker) value(s *Shape, most int) error {
	switch s.typ.Kind() {
	case reflect.Bool:
		c.r.Bool()
		return c.expect("a truth value")
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return c.signed(s)
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return c.unsigned(s)
	case reflect.Float32:
		return c.float(float64(c.r.Float32()), "a float of 32 bits")
	case reflect.Float64:
		return c.float(c.r.Float64(), "a float of 64 bits")
	case reflect.String:
		return c.text(most)
	case reflect.Struct:
		return c.structure(s)
	case reflect.Array:
		return c.array(s)
	}
	if c.r.Nil() {
		return nil
	}
	switch {
	case s.typ.Kind() == reflect.Pointer:
		if err := c.allocate(1, s.elem.typ.Size()); err != nil {
			return err
		}
		return c.value(s.elem, most)
	case s.typ.Kind() == reflect.Map:
		return c.mapping(s, most)
	case s.bytes:
		return c.bytes(most)
	}
	return c.list(s, most)
}

// expect returns an error if the last read failed. what names the thing that it expected.
func (c *checker) expect(what string) error {
	if c.r.Failed() {
		return failed("not " + what)
	}
	return nil
}

func tooLong(most int) error { return failed("longer than " + strconv.Itoa(most)) }

func (c *checker) signed(s *Shape) error {
	n, room := c.r.Int(), 64-s.typ.Bits()
	if c.r.Failed() || n<<room>>room != n {
		return outOfRange(s)
	}
	return nil
}

func (c *checker) unsigned(s *Shape) error {
	n := c.r.Uint()
	if c.r.Failed() || n>>(s.typ.Bits()-1)>>1 != 0 {
		return outOfRange(s)
	}
	return nil
}

func outOfRange(s *Shape) error {
	return failed("not an integer in the range of " + s.typ.Kind().String())
}

// float refuses NaN, which has 2^53 encodings.
func (c *checker) float(f float64, what string) error {
	if math.IsNaN(f) {
		return failed("not a number (NaN)")
	}
	return c.expect(what)
}

// text reads a string. The library reads a string into a buffer that it keeps, and copies
// it from there, so both count.
func (c *checker) text(most int) error {
	n := len(c.r.StrBytes(0, c.r.Len()))
	if err := c.expect("text"); err != nil {
		return err
	}
	if n > most {
		return tooLong(most)
	}
	if err := c.buffer(n); err != nil {
		return err
	}
	return c.allocate(n, 1)
}

func (c *checker) bytes(most int) error {
	n := len(c.r.Bin(0, c.r.Len()))
	if err := c.expect("bytes"); err != nil {
		return err
	}
	if n > most {
		return tooLong(most)
	}
	return c.allocate(n, 1)
}

func (c *checker) list(s *Shape, most int) error {
	n := c.r.ArrayLen(0, c.r.Len())
	if err := c.expect("an array"); err != nil {
		return err
	}
	if n > most {
		return tooLong(most)
	}
	size := s.elem.typ.Size()
	if s.elem.typ != reflect.TypeFor[string]() { // except for strings the library makes a slice, and appends it to an empty one
		if err := c.allocate(n, size); err != nil {
			return err
		}
	}
	if err := c.allocate(n, size); err != nil {
		return err
	}
	return c.elements(s, n)
}

// array needs no memory of its own: an array is a part of the value that contains it.
func (c *checker) array(s *Shape) error {
	n := s.typ.Len()
	if s.bytes {
		c.r.Bin(n, n)
	} else {
		c.r.Array(n)
	}
	switch {
	case c.r.Failed():
		return failed("not an array of " + strconv.Itoa(n)) // the type says whether of bytes
	case s.bytes:
		return nil
	}
	return c.elements(s, n)
}

func (c *checker) elements(s *Shape, n int) error {
	for i := range n {
		if err := c.value(s.elem, noMax); err != nil {
			return under(entry(i), err)
		}
	}
	return nil
}

func (c *checker) mapping(s *Shape, most int) error {
	n := c.r.MapLen(0, c.r.Len())
	if err := c.expect("a map"); err != nil {
		return err
	}
	if n > most {
		return tooLong(most)
	}
	if err := c.allocateMap(n, s.elem.typ.Size()); err != nil {
		return err
	}
	for i := range n {
		if err := c.text(noMax); err != nil {
			return under(entry(i), err)
		}
		if err := c.value(s.elem, noMax); err != nil {
			return under(entry(i), err)
		}
	}
	return nil
}

// structure needs no memory of its own either. Keys and fields are both in ascending
// order, so one pass over both finds unknown keys and missing fields.
func (c *checker) structure(s *Shape) error {
	n := c.r.MapLen(0, c.r.Len())
	if err := c.expect("a map"); err != nil {
		return err
	}
	fields := s.fields
	for range n {
		name := c.r.StrBytes(0, c.r.Len())
		if err := c.buffer(len(name)); err != nil {
			return err
		}
		i := 0
		for i < len(fields) && fields[i].name < string(name) {
			i++
		}
		if err := missing(fields[:i]); err != nil {
			return err
		}
		if fields = fields[i:]; len(fields) == 0 || fields[0].name != string(name) {
			return failed("a field that the type does not have")
		}
		if err := c.value(fields[0].Shape, fields[0].max); err != nil {
			return under(fields[0].name, err)
		}
		fields = fields[1:]
	}
	return missing(fields)
}

// missing returns an error if one of these absent fields must be present.
func missing(fields []field) error {
	for _, f := range fields {
		if !f.omitEmpty {
			return under(f.name, failed("missing"))
		}
	}
	return nil
}
