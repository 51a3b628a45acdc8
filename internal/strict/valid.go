package strict

import "bytes"

// Valid reports whether b is exactly one value in the accepted encoding,
// whatever its shape. Bytes that pass may be given to a general MessagePack
// decoder: no length in them exceeds what follows, no nesting exceeds
// [MaxDepth], map keys are strings in ascending byte order without repetition,
// and encoding the value again gives b.
func Valid(b []byte) error {
	v := validator{Reader: NewReader(b)}
	for v.more() {
		v.value()
	}
	return v.Done()
}

// level is an array or map whose values are being read.
type level struct {
	left    uint64 // values still to come; for a map, keys and values
	isMap   bool
	lastKey []byte // the key before, nil before the first
}

type validator struct {
	Reader
	started bool
	depth   int
	open    [MaxDepth]level
}

// more closes the levels that are complete and reports whether a value is due.
func (v *validator) more() bool {
	for v.depth > 0 && v.open[v.depth-1].left == 0 {
		v.depth--
	}
	return !v.failed && (v.depth > 0 || !v.started)
}

func (v *validator) value() {
	v.started = true
	if v.depth > 0 {
		top := &v.open[v.depth-1]
		top.left--
		if top.isMap && top.left%2 == 1 {
			v.key(top)
			return
		}
	}
	if len(v.rest) == 0 {
		v.Fail()
		return
	}
	v.any(v.rest[0])
}

// key reads a map key. Strict ascent makes repetition impossible and the order
// unique without remembering more than one key.
func (v *validator) key(m *level) {
	k := v.StrBytes(0, len(v.rest))
	if m.lastKey != nil && bytes.Compare(m.lastKey, k) >= 0 {
		v.Fail()
	}
	if m.lastKey = k; k == nil {
		m.lastKey = []byte{}
	}
}

func (v *validator) any(code byte) {
	switch {
	case code < 1<<7, code >= uint8b && code <= uint64b:
		v.Uint()
	case code&0xe0 == fixStr, code >= str8 && code <= str32:
		v.StrBytes(0, len(v.rest))
	case code >= bin8 && code <= bin32:
		v.Bin(0, len(v.rest))
	case code&0xf0 == fixArray, code == array16, code == array32:
		v.push(uint64(v.ArrayLen(0, len(v.rest))), false)
	case code&0xf0 == fixMap, code == map16, code == map32:
		v.push(2*uint64(v.MapLen(0, len(v.rest))), true)
	case code >= negFix, code == codeNil, code == codeNo, code == codeYes:
		v.byte()
	case code >= int8b && code <= int64b:
		v.negative()
	case code == float32b:
		v.take(5)
	case code == float64b:
		v.take(9)
	default: // 0xc1, and every extension type
		v.Fail()
	}
}

func (v *validator) push(values uint64, isMap bool) {
	if v.failed || v.depth == MaxDepth {
		v.Fail()
		return
	}
	v.open[v.depth] = level{left: values, isMap: isMap}
	v.depth++
}
