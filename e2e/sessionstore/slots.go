//go:build !js

package sessionstore

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
)

// A file holds one value with its version. A value that is written once is whole:
//
//	size      meaning
//	1         1
//	8         version, big endian
//	variable  value
//
// The value of a session is written again and again. Its file has two slots of one size, and each
// version goes into the slot of the version before the last. So a version is written once, into room
// that the disk has already, and a write that is cut short leaves the latest version undamaged:
//
//	size      meaning
//	8         2, and 7 zeros
//	variable  slot
//	variable  slot of the same size
//
// where a slot is
//
//	size      meaning
//	32        SHA-256 of the version, the length and the value
//	8         version, big endian
//	4         length n of the value
//	n         value
//	rest      of no meaning
const (
	wholeFile   = 1
	slottedFile = 2

	wholeHead   = 1 + 8
	slottedHead = 8
	slotHead    = sha256.Size + 8 + 4

	slotGrain = 4096 // slots are multiples of it
)

// contents are what a file holds: the latest version, 0 for none, and where it is.
type contents struct {
	versioned
	slot    int // size of each, in bytes; 0 if there are none
	current int // the slot that the version is in
}

func appendWhole(dst []byte, v versioned) []byte {
	return append(binary.BigEndian.AppendUint64(append(dst, wholeFile), v.version), v.value...)
}

// appendSlots appends a file with room for a value of twice the size.
func appendSlots(dst []byte, v versioned) []byte {
	start := len(dst)
	size := (slotHead + 2*len(v.value) + slotGrain - 1) / slotGrain * slotGrain
	dst = append(dst, slottedFile)
	dst = append(dst, make([]byte, slottedHead-1)...)
	dst = appendSlot(dst, v)
	return append(dst, make([]byte, start+slottedHead+2*size-len(dst))...)
}

func appendSlot(dst []byte, v versioned) []byte {
	head := binary.BigEndian.AppendUint64(nil, v.version)
	head = binary.BigEndian.AppendUint32(head, uint32(len(v.value)))
	sum := slotSum(head, v.value)
	return append(append(append(dst, sum[:]...), head...), v.value...)
}

func slotSum(head, value []byte) [sha256.Size]byte {
	h := sha256.New()
	h.Write(head)
	h.Write(value)
	return [sha256.Size]byte(h.Sum(nil))
}

// parseContents returns what is in a file, no version where nobody here wrote it.
func parseContents(b []byte) (c contents) {
	switch {
	case len(b) >= wholeHead && b[0] == wholeFile:
		c.versioned = versioned{b[wholeHead:], binary.BigEndian.Uint64(b[1:])}
	case len(b) > slottedHead && bytes.Equal(b[:slottedHead], []byte{slottedFile, 7: 0}) && (len(b)-slottedHead)%2 == 0:
		c.slot = (len(b) - slottedHead) / 2
		for i := range 2 {
			v, ok := parseSlot(b[slottedHead+i*c.slot:][:c.slot])
			if ok && v.version > c.version {
				c.versioned, c.current = v, i
			}
		}
	}
	return c
}

func parseSlot(b []byte) (v versioned, ok bool) {
	if len(b) < slotHead {
		return v, false
	}
	head, rest := b[sha256.Size:slotHead], b[slotHead:]
	n := binary.BigEndian.Uint32(head[8:])
	if uint64(n) > uint64(len(rest)) || slotSum(head, rest[:n]) != [sha256.Size]byte(b) {
		return v, false
	}
	return versioned{rest[:n], binary.BigEndian.Uint64(head)}, true
}

// torn reports whether there are slots and nothing in them.
func (c contents) torn() bool { return c.slot > 0 && c.version == 0 }

// fits reports whether there is room for a value beside the one that is there.
func (c contents) fits(value []byte) bool {
	return c.version > 0 && slotHead+len(value) <= c.slot
}

// other returns where that room begins.
func (c contents) other() int64 { return int64(slottedHead + (1-c.current)*c.slot) }
