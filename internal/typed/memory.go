package typed

import (
	"math/bits"
	"unsafe"
)

// What decoding n bytes may allocate, in all: perByte·n + slack. With the n bytes
// themselves that is 8·n and a constant (A28). Texts, floats and structs need less
// than perByte; slack is for lists of small numbers, and for maps.
const (
	perByte = 7
	slack   = 1 << 20
)

// allocate takes an allocation of n elements from what is left.
func (c *checker) allocate(n int, size uintptr) error {
	high, total := bits.Mul64(uint64(n), uint64(size))
	if high == 0 && total <= c.left {
		total = rounded(total)
	}
	if high != 0 || total > c.left {
		return failed("takes too much memory for the size of its encoding")
	}
	c.left -= total
	return nil
}

// rounded is at least what the runtime takes for an allocation of n bytes. Its size
// classes are 8, then multiples of 8 or 16 less than a fifth apart, then whole pages
// of 8 KiB.
func rounded(n uint64) uint64 {
	switch {
	case n == 0:
		return 0
	case n <= 8:
		return 8
	case n < 1<<15:
		return (n + n/4 + 15) &^ 15
	}
	return n + 1<<13
}

// buffer takes the growth of the library's buffer for text, if n bytes make it
// grow. It doubles at most.
func (c *checker) buffer(n int) error {
	if n <= c.longest {
		return nil
	}
	c.longest = n
	return c.allocate(2, uintptr(n))
}

// allocateMap takes what a map of n entries needs while it is made, and while its
// entries are encoded again. The keys' own bytes are not in it.
//
// The runtime makes tables of a power of two slots, at most 7/8 full. Where that
// is tight, some of them fill unevenly and split: up to 2.9 slots an entry were
// seen. An element of more than 128 bytes stands outside of its slot.
func (c *checker) allocateMap(n int, size uintptr) error {
	const header, key, outside = 320, unsafe.Sizeof(""), 128
	if n == 0 {
		return c.allocate(1, 48)
	}
	elem := uintptr(rounded(uint64(size)))
	inSlot, apart := max(8, (size+7)&^7), uintptr(0)
	if size > outside {
		inSlot, apart = 8, elem
	}
	slots := 3 * n
	if n <= 8 {
		slots = 8
	}
	for _, a := range []struct {
		n    int
		size uintptr
	}{
		{1, header + elem},
		{slots, key + inSlot + 1},
		{n, apart},
		{n, key + elem}, // the library decodes each entry on the heap, then copies it
		{n, key},        // the keys, to sort them
		{n, elem},       // a copy of each entry, to encode it
	} {
		if err := c.allocate(a.n, a.size); err != nil {
			return err
		}
	}
	return nil
}
