// Package strict reads and writes the subset of MessagePack that Hopseal puts on
// the wire, with exactly one accepted encoding for every value.
//
// General decoders trust the lengths they read, recurse without a limit and
// accept several encodings of one value; each of these is an attack when the
// bytes come from a stranger. This package refuses all of them:
//
//   - a length is compared with the bytes that remain before anything is read,
//     so decoding N bytes never allocates more than N bytes plus a constant;
//   - nesting is limited to [MaxDepth] and checked without recursion;
//   - integers, lengths and containers must use their shortest form;
//   - extension types, trailing bytes, unsorted or repeated map keys and
//     strings that are not UTF-8 are refused.
//
// Fixed structures are read with a [Reader], field by field. A value of unknown
// shape is passed through [Valid] before any other decoder may see it.
//
// The encoding is that of the MessagePack specification
// (https://github.com/msgpack/msgpack/blob/master/spec.md).
package strict

import "errors"

// ErrMalformed is returned for every encoding that this package does not accept.
// It is one value on purpose: which rule was broken is of no use to an honest
// peer, and would guide a hostile one.
var ErrMalformed = errors.New("strict: malformed encoding")

// MaxDepth is the deepest nesting of arrays and maps that is accepted.
const MaxDepth = 16

// First bytes of the encodings in use. The fix forms hold their value or length
// in the low bits.
const (
	fixMap   = 0x80 // 0x80 to 0x8f
	fixArray = 0x90 // 0x90 to 0x9f
	fixStr   = 0xa0 // 0xa0 to 0xbf
	codeNil  = 0xc0
	codeNo   = 0xc2
	codeYes  = 0xc3
	bin8     = 0xc4
	bin16    = 0xc5
	bin32    = 0xc6
	float32b = 0xca
	float64b = 0xcb
	uint8b   = 0xcc
	uint16b  = 0xcd
	uint32b  = 0xce
	uint64b  = 0xcf
	int8b    = 0xd0
	int16b   = 0xd1
	int32b   = 0xd2
	int64b   = 0xd3
	str8     = 0xd9
	str16    = 0xda
	str32    = 0xdb
	array16  = 0xdc
	array32  = 0xdd
	map16    = 0xde
	map32    = 0xdf
	negFix   = 0xe0 // 0xe0 to 0xff: -32 to -1
)
