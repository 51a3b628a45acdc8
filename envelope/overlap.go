package envelope

import (
	"errors"
	"unsafe"
)

var errOverlap = errors.New("envelope: the room after dst overlaps the input")

// overlap reports whether appending to dst could overwrite in before it is read.
func overlap(dst, in []byte) bool {
	room := dst[len(dst):cap(dst)]
	if len(room) == 0 || len(in) == 0 {
		return false
	}
	first, last := uintptr(unsafe.Pointer(&room[0])), uintptr(unsafe.Pointer(&room[len(room)-1]))
	return first <= uintptr(unsafe.Pointer(&in[len(in)-1])) && uintptr(unsafe.Pointer(&in[0])) <= last
}
