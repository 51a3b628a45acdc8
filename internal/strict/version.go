package strict

// Version returns the version that a structure states, whatever else it holds. Every structure
// begins in the same way in all versions, with an array of at most 15 values. Its first value is
// the version. In a signed structure it is a byte string that begins with such an array. Or it is
// a text, and the version follows. Version reads no further than that.
func Version(b []byte) (version uint64, ok bool) {
	r := NewReader(b)
	r.shortArray()
	switch {
	case r.Len() == 0:
		return 0, false
	case r.rest[0] >= bin8 && r.rest[0] <= bin32:
		r = NewReader(r.Bin(1, r.Len()))
		r.shortArray()
	case r.rest[0]&0xe0 == fixStr:
		r.StrBytes(1, r.Len())
	}
	version = r.Uint()
	return version, !r.failed
}

// shortArray reads the head of an array of at most 15 values.
func (r *Reader) shortArray() {
	if r.byte()&0xf0 != fixArray {
		r.Fail()
	}
}
