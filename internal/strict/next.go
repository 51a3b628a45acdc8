package strict

import "math"

// Next reads the next value of any type, but of an array only the head. It returns the
// sizes in bytes of the value's head and of the value itself. A nil, like an array, is all head, and a number
// below 128 has none. Maps, booleans, signed integers and floats are refused.
func (r *Reader) Next() (head, value int) {
	before := len(r.rest)
	if before == 0 {
		r.Fail()
		return 0, 0
	}
	switch code := r.rest[0]; {
	case code == codeNil:
		r.Nil()
	case code&0xf0 == fixArray, code == array16, code == array32:
		r.ArrayLen(0, math.MaxInt)
	case code >= bin8 && code <= bin32:
		value = len(r.Bin(0, math.MaxInt))
	case code&0xe0 == fixStr, code >= str8 && code <= str32:
		value = len(r.StrBytes(0, math.MaxInt))
	default:
		r.Uint()
		value = max(1, before-len(r.rest)-1)
	}
	if r.failed {
		return 0, 0
	}
	return before - len(r.rest) - value, value
}
