package strict

import "encoding/binary"

// AppendNil appends nil, one byte.
func AppendNil(dst []byte) []byte { return append(dst, codeNil) }

// AppendUint appends v in its shortest form, 1 to 9 bytes.
func AppendUint(dst []byte, v uint64) []byte {
	switch {
	case v < 1<<7:
		return append(dst, byte(v))
	case v < 1<<8:
		return append(dst, uint8b, byte(v))
	case v < 1<<16:
		return binary.BigEndian.AppendUint16(append(dst, uint16b), uint16(v))
	case v < 1<<32:
		return binary.BigEndian.AppendUint32(append(dst, uint32b), uint32(v))
	}
	return binary.BigEndian.AppendUint64(append(dst, uint64b), v)
}

// AppendArray appends the head of an array; n values must follow.
func AppendArray(dst []byte, n int) []byte {
	switch {
	case n < 1<<4:
		return append(dst, fixArray|byte(n))
	case n < 1<<16:
		return binary.BigEndian.AppendUint16(append(dst, array16), uint16(n))
	}
	return binary.BigEndian.AppendUint32(append(dst, array32), uint32(n))
}

// AppendBinHead appends the head of a byte string; n bytes must follow.
func AppendBinHead(dst []byte, n int) []byte {
	switch {
	case n < 1<<8:
		return append(dst, bin8, byte(n))
	case n < 1<<16:
		return binary.BigEndian.AppendUint16(append(dst, bin16), uint16(n))
	}
	return binary.BigEndian.AppendUint32(append(dst, bin32), uint32(n))
}

// AppendBin appends b as a byte string.
func AppendBin(dst, b []byte) []byte {
	return append(AppendBinHead(dst, len(b)), b...)
}

// AppendStr appends s as a text string. The caller answers for s being UTF-8;
// a [Reader] refuses anything else.
func AppendStr(dst []byte, s string) []byte {
	switch n := len(s); {
	case n < 1<<5:
		dst = append(dst, fixStr|byte(n))
	case n < 1<<8:
		dst = append(dst, str8, byte(n))
	case n < 1<<16:
		dst = binary.BigEndian.AppendUint16(append(dst, str16), uint16(n))
	default:
		dst = binary.BigEndian.AppendUint32(append(dst, str32), uint32(n))
	}
	return append(dst, s...)
}
