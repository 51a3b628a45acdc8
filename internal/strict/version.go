package strict

// Version returns the version that a structure says it is of, whatever else it holds. All
// structures begin alike in every version: with an array of at most 15 values, of which the
// first is the version; or is a byte string that begins so, for what is signed; or a text, behind
// which it stands. Only the beginning, up to there, is read.
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
