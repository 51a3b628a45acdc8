package envelope

import (
	"encoding/binary"
	"errors"
	"math/bits"
	"slices"
)

// Padding decides which lengths of content look alike on the way. The zero
// Padding is Padmé, which suits most messages. Both ends need not agree on one.
type Padding struct {
	chosen bool
	sizes  []int64 // buckets, ascending; none: no padding
}

// NoPadding lets everybody see the exact length of the content. It is for content whose
// length is known or fixed anyway.
func NoPadding() Padding { return Padding{chosen: true} }

// Buckets pads content to the smallest of the sizes that holds it, so that all content of
// one bucket looks alike. The sizes are in bytes, ascending. Content larger than the last
// is refused.
func Buckets(sizes ...int64) Padding {
	// A nil slice stands for no padding; no sizes at all are a mistake, see check.
	return Padding{chosen: true, sizes: append([]int64{}, sizes...)}
}

var (
	errBuckets = errors.New("envelope: Buckets takes one or more sizes, positive and ascending")
	errTooMuch = errors.New("envelope: a stream holds at most 2^47 bytes of content")
	errBucket  = errors.New("envelope: the message is larger than the largest bucket of its Padding")
)

func (p Padding) check() error {
	if !p.chosen || p.sizes == nil {
		return nil
	}
	last := int64(0)
	for _, size := range p.sizes {
		if size <= last {
			return errBuckets
		}
		last = size
	}
	if last == 0 || last > maxStream {
		return errBuckets
	}
	return nil
}

// bucket returns the size that content of n bytes is padded to.
func (p Padding) bucket(n int64) (int64, error) {
	if n > maxStream {
		return 0, errTooMuch
	}
	if p.sizes == nil {
		return n, nil
	}
	for _, size := range p.sizes {
		if n <= size {
			return size, nil
		}
	}
	return 0, errBucket
}

// Padded plaintext: length, 4 bytes big-endian ‖ data ‖ zeros. The length's top
// bit says that the sender chose the total; else it is max(64, Padmé(4 + n)).
const (
	lengthSize   = 4
	minPadded    = 64
	chosenTotal  = 1 << 31
	maxPlaintext = 1<<31 - 1 - lengthSize // what an int holds everywhere
	maxPadded    = 1 << 31                // the largest plaintext by Padmé
)

// padme returns max(64, Padmé(size)). Padmé (Nikitin et al., PURBs, PETS 2019,
// section 4) shows O(log log size) bits of a length. It adds at most 12 %, and at most 3 %
// from some 64 KiB on.
func padme(size int64) int64 {
	if size <= minPadded {
		return minPadded
	}
	e := bits.Len64(uint64(size)) - 1 // floor(log2 size)
	s := bits.Len(uint(e))            // floor(log2 e) + 1
	mask := int64(1)<<(e-s) - 1
	return (size + mask) &^ mask
}

// padded returns the padded size of n bytes and the length field to go with it.
func (p Padding) padded(n int) (size int, length uint32, err error) {
	if !p.chosen {
		return int(padme(int64(n + lengthSize))), uint32(n), nil
	}
	bucket, err := p.bucket(int64(n))
	if bucket > maxPlaintext {
		err = errBuckets
	}
	return int(bucket) + lengthSize, uint32(n) | chosenTotal, err
}

// stream returns the total size of a stream's plaintexts for n bytes of content,
// and the mark of its length field.
func (p Padding) stream(n int64) (total int64, mark uint32, err error) {
	if !p.chosen {
		return padme(plainSize(n)), 0, nil
	}
	bucket, err := p.bucket(n)
	return plainSize(bucket), chosenTotal, err
}

// appendPadded appends length, data and zeros, size bytes in all.
func appendPadded(dst, data []byte, size int, length uint32) []byte {
	end := len(dst) + size
	dst = slices.Grow(dst, size)
	dst = binary.BigEndian.AppendUint32(dst, length)
	n := len(dst) + len(data)
	move(dst[len(dst):n], data)
	clear(dst[n:end])
	return dst[:end]
}

// unpad returns the data in a padded plaintext. The rest must be zeros, and the total must be
// Padmé's unless the sender chose it: there is one encoding.
func unpad(b []byte) ([]byte, bool) {
	if len(b) < lengthSize || uint64(len(b)) > maxPadded {
		return nil, false
	}
	length := binary.BigEndian.Uint32(b)
	n := length &^ chosenTotal
	if n > maxPlaintext || uint64(n) > uint64(len(b)-lengthSize) {
		return nil, false
	}
	if length&chosenTotal == 0 && padme(int64(n)+lengthSize) != int64(len(b)) {
		return nil, false
	}
	data, rest := b[lengthSize:][:n], b[lengthSize+int(n):]
	return data, zeros(rest)
}

func zeros(b []byte) bool {
	var any uint64
	for ; len(b) >= 8; b = b[8:] {
		any |= binary.NativeEndian.Uint64(b)
	}
	for _, z := range b {
		any |= uint64(z)
	}
	return any == 0
}

// move copies src to the start of dst, which may overlap the beginning of src. It copies in
// steps that stay in the cache: the runtime bypasses the cache for a large copy, and the
// cipher, which reads the bytes next, would wait for memory.
func move(dst, src []byte) {
	const step = 1 << 16
	for len(src) > 0 {
		n := copy(dst, src[:min(len(src), step)])
		dst, src = dst[n:], src[n:]
	}
}
