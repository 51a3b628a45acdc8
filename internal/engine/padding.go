package engine

import (
	"encoding/binary"
	"math/bits"
	"slices"
)

// minBucket is the size of the smallest padded plaintext, in bytes. So a keystroke, a word
// and a close all look the same.
const minBucket = 64

// grain divides the size of every larger bucket. It leaves fewer sizes where Padmé alone
// would have them 8 to 64 bytes apart. It also suits AES-GCM, which needs longer for 1,088
// bytes than for 1,152.
const grain = 128

// lengthSize is the size in bytes of the length field before the data.
const lengthSize = 4

// bucket returns the size to which n bytes of plaintext are padded. It follows Padmé
// (PURBs, section 4), which keeps a logarithmic number of the leading bits, and then
// rounds up to the grain. It adds at most 12 % from 1 KiB on and 3 % at 1 MiB, and leaks
// O(log log n) bits of the length.
func bucket(n int) int {
	if n <= minBucket {
		return minBucket
	}
	exponent := bits.Len(uint(n)) - 1
	low := exponent - bits.Len(uint(exponent))
	mask := max(1<<low, grain) - 1
	return (n + mask) &^ mask
}

// appendPadded appends one padded plaintext. The data is given in parts:
//
//	size  meaning
//	f     fields, of a length fixed by the message's type
//	4     length n of data, big endian
//	n     data
//	rest  zeros, up to bucket(f + 4 + n)
func appendPadded(dst, fields []byte, data ...[]byte) []byte {
	n := 0
	for _, part := range data {
		n += len(part)
	}
	start, size := len(dst), bucket(len(fields)+lengthSize+n)
	dst = slices.Grow(dst, size)
	dst = append(dst, fields...)
	dst = binary.BigEndian.AppendUint32(dst, uint32(n))
	for _, part := range data {
		dst = append(dst, part...)
	}
	end := len(dst)
	dst = dst[:start+size]
	clear(dst[end:])
	return dst
}

// parsePadded returns the fields and the data of a padded plaintext, as slices of it. It
// refuses any size but the right bucket, and any padding but zeros: otherwise padding
// would be a channel that no rule covers.
func parsePadded(plain []byte, fieldsSize int) (fields, data []byte, ok bool) {
	if len(plain) < fieldsSize+lengthSize {
		return nil, nil, false
	}
	fields, rest := plain[:fieldsSize], plain[fieldsSize+lengthSize:]
	n := binary.BigEndian.Uint32(plain[fieldsSize:])
	if uint64(n) > uint64(len(rest)) || bucket(fieldsSize+lengthSize+int(n)) != len(plain) {
		return nil, nil, false
	}
	return fields, rest[:n:n], allZero(rest[n:])
}

// allZero compares with zeros, which is faster than a loop over bytes.
var zeros [256]byte

func allZero(b []byte) bool {
	for len(b) > len(zeros) {
		if string(b[:len(zeros)]) != string(zeros[:]) {
			return false
		}
		b = b[len(zeros):]
	}
	return string(b) == string(zeros[:len(b)])
}
