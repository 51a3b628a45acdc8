package strict

import (
	"encoding/binary"
	"math"
	"unicode/utf8"
)

// A Reader takes one fixed structure apart. Its first failure sticks: every
// later call returns a zero value, so a parser reads all fields in order and
// asks [Reader.Done] once. The zero Reader is at the end of an empty input.
type Reader struct {
	rest   []byte
	failed bool
}

// NewReader returns a Reader of b. The byte strings that it returns are parts
// of b, not copies.
func NewReader(b []byte) Reader { return Reader{rest: b} }

// Done returns nil if nothing failed and every byte was read, else
// [ErrMalformed].
func (r *Reader) Done() error {
	if r.failed || len(r.rest) != 0 {
		return ErrMalformed
	}
	return nil
}

// Failed reports whether a read has failed. Loops over attacker-chosen counts
// must ask it.
func (r *Reader) Failed() bool { return r.failed }

// Len returns how many bytes are left to read.
func (r *Reader) Len() int { return len(r.rest) }

// Fail makes the Reader fail, for a caller that found a value it refuses.
func (r *Reader) Fail() { r.failed, r.rest = true, nil }

// Nil reads a nil if one is next and reports whether it did.
func (r *Reader) Nil() bool {
	if len(r.rest) == 0 || r.rest[0] != codeNil {
		return false
	}
	r.rest = r.rest[1:]
	return true
}

// Uint reads an unsigned integer in its shortest form.
func (r *Reader) Uint() uint64 {
	switch code := r.byte(); {
	case code < 1<<7:
		return uint64(code)
	case code == uint8b:
		return r.number(1, 1<<7)
	case code == uint16b:
		return r.number(2, 1<<8)
	case code == uint32b:
		return r.number(4, 1<<16)
	case code == uint64b:
		return r.number(8, 1<<32)
	}
	r.Fail()
	return 0
}

// Int reads a signed integer in its shortest form.
func (r *Reader) Int() int64 {
	if len(r.rest) > 0 && r.rest[0] >= negFix {
		return int64(int8(r.byte()))
	}
	if len(r.rest) > 0 && r.rest[0] >= int8b && r.rest[0] <= int64b {
		return r.negative()
	}
	v := r.Uint()
	if v > math.MaxInt64 {
		r.Fail()
		return 0
	}
	return int64(v)
}

// negative reads a signed integer below -32; anything else has another form
// that is shorter or unsigned.
func (r *Reader) negative() int64 {
	size := 1 << (r.byte() - int8b)
	raw := r.number(size, 0)
	shift := 64 - 8*size
	n := int64(raw<<shift) >> shift
	shorter := [...]int64{1: -32, 2: -1 << 7, 4: -1 << 15, 8: -1 << 31}
	if r.failed || n >= shorter[size] {
		r.Fail()
		return 0
	}
	return n
}

// Bool reads a truth value.
func (r *Reader) Bool() bool {
	code := r.byte()
	if code != codeNo && code != codeYes {
		r.Fail()
	}
	return code == codeYes
}

// Float32 reads a float of 32 bits. Floats of 64 bits and integers are refused,
// whatever their value.
func (r *Reader) Float32() float32 {
	if r.byte() != float32b {
		r.Fail()
	}
	return math.Float32frombits(uint32(r.number(4, 0)))
}

// Float64 reads a float of 64 bits, and nothing else.
func (r *Reader) Float64() float64 {
	if r.byte() != float64b {
		r.Fail()
	}
	return math.Float64frombits(r.number(8, 0))
}

// Array reads the head of an array that must have exactly n values.
func (r *Reader) Array(n int) {
	if r.ArrayLen(n, n) != n {
		r.Fail()
	}
}

// ArrayLen reads the head of an array with least to most values. The count is
// also refused where it exceeds the bytes that remain, since a value takes at
// least one: a caller may allocate in proportion to it.
func (r *Reader) ArrayLen(least, most int) int {
	var n uint64
	switch code := r.byte(); {
	case code&0xf0 == fixArray:
		n = uint64(code & 0x0f)
	case code == array16:
		n = r.number(2, 1<<4)
	case code == array32:
		n = r.number(4, 1<<16)
	default:
		r.Fail()
	}
	if n < uint64(least) || n > uint64(most) || n > uint64(len(r.rest)) {
		r.Fail()
		return 0
	}
	return int(n)
}

// MapLen reads the head of a map with least to most pairs. The count is also
// refused where it exceeds half of the bytes that remain, since a key and a value
// take at least one each. That keys ascend is for [Valid] to see.
func (r *Reader) MapLen(least, most int) int {
	var n uint64
	switch code := r.byte(); {
	case code&0xf0 == fixMap:
		n = uint64(code & 0x0f)
	case code == map16:
		n = r.number(2, 1<<4)
	case code == map32:
		n = r.number(4, 1<<16)
	default:
		r.Fail()
	}
	if n < uint64(least) || n > uint64(most) || n > uint64(len(r.rest))/2 {
		r.Fail()
		return 0
	}
	return int(n)
}

// Bin reads a byte string of least to most bytes. The result is a part of the
// input with no spare capacity.
func (r *Reader) Bin(least, most int) []byte {
	var n uint64
	switch r.byte() {
	case bin8:
		n = r.number(1, 0)
	case bin16:
		n = r.number(2, 1<<8)
	case bin32:
		n = r.number(4, 1<<16)
	default:
		r.Fail()
	}
	return r.sized(n, least, most)
}

// Str reads a text string of least to most bytes, which must be UTF-8.
func (r *Reader) Str(least, most int) string { return string(r.StrBytes(least, most)) }

// StrBytes is [Reader.Str] without the copy: the result is a part of the input.
func (r *Reader) StrBytes(least, most int) []byte {
	var n uint64
	switch code := r.byte(); {
	case code&0xe0 == fixStr:
		n = uint64(code & 0x1f)
	case code == str8:
		n = r.number(1, 1<<5)
	case code == str16:
		n = r.number(2, 1<<8)
	case code == str32:
		n = r.number(4, 1<<16)
	default:
		r.Fail()
	}
	s := r.sized(n, least, most)
	if !utf8.Valid(s) {
		r.Fail()
		return nil
	}
	return s
}

func (r *Reader) sized(n uint64, least, most int) []byte {
	if r.failed || n < uint64(least) || n > uint64(most) {
		r.Fail()
		return nil
	}
	return r.take(n)
}

// byte reads one byte. After a failure it returns nil's code, which no caller
// takes for the start of a value.
func (r *Reader) byte() byte {
	if len(r.rest) == 0 {
		r.Fail()
		return codeNil
	}
	b := r.rest[0]
	r.rest = r.rest[1:]
	return b
}

// number reads a big-endian integer of the given size. A value below least has
// a shorter form and is refused.
func (r *Reader) number(size int, least uint64) uint64 {
	b := r.take(uint64(size))
	if b == nil {
		return 0
	}
	var wide [8]byte
	copy(wide[8-size:], b)
	v := binary.BigEndian.Uint64(wide[:])
	if v < least {
		r.Fail()
		return 0
	}
	return v
}

func (r *Reader) take(n uint64) []byte {
	if r.failed || n > uint64(len(r.rest)) {
		r.Fail()
		return nil
	}
	b := r.rest[:n:n]
	r.rest = r.rest[n:]
	return b
}
