package wasmbuild

import (
	"bytes"
	"encoding/binary"
	"errors"
	"slices"
)

// Sections of a module (WebAssembly core specification, section 5.5).
const (
	customSection = 0
	dataSection   = 11
)

// A section is a part of a module, without its number and length.
type section struct {
	id   byte
	body []byte
}

var errModule = errors.New("wasmbuild: core.wasm is not the module that this code knows")

const moduleHead = "\x00asm\x01\x00\x00\x00"

func parseModule(module []byte) (sections []section, err error) {
	r, ok := bytes.CutPrefix(module, []byte(moduleHead))
	if !ok {
		return nil, errModule
	}
	for in := (&reader{rest: r}); len(in.rest) > 0; {
		id := in.byte()
		s := section{id, in.bytes(in.unsigned())}
		if in.failed {
			return nil, errModule
		}
		sections = append(sections, s)
	}
	return sections, nil
}

func writeModule(sections []section) []byte {
	module := []byte(moduleHead)
	for _, s := range sections {
		module = binary.AppendUvarint(append(module, s.id), uint64(len(s.body))) // LEB128, as in wasm
		module = append(module, s.body...)
	}
	return module
}

// parseData returns the memory as a module's data section fills it, from address 0 on.
func parseData(body []byte) (memory []byte, err error) {
	in := &reader{rest: body}
	for range in.unsigned() {
		active, load, at, end := in.byte(), in.byte(), in.signed(), in.byte()
		b := in.bytes(in.unsigned())
		if in.failed || active != 0 || load != i32Const || end != endOfCode || at < 0 || at > maxMemory {
			return nil, errModule
		}
		memory = append(memory, make([]byte, max(0, at+len(b)-len(memory)))...)
		copy(memory[at:], b)
	}
	if in.failed || len(in.rest) > 0 {
		return nil, errModule
	}
	return memory, nil
}

const (
	i32Const  = 0x41
	endOfCode = 0x0b
	maxMemory = 64 << 20
)

// minGap is how many zeros in a row end a segment. The linker ends one at every few zeros and writes
// 100,000 segments: their addresses take 115 KB of brotli, the zeros next to nothing.
const minGap = 1024

// writeData returns a data section that fills the memory.
func writeData(memory []byte) []byte {
	var segments [][2]int // from, to
	gap := make([]byte, minGap)
	for at := 0; ; {
		rest := bytes.TrimLeft(memory[at:], "\x00")
		if len(rest) == 0 {
			break
		}
		at = len(memory) - len(rest)
		to := len(memory)
		if n := bytes.Index(rest, gap); n >= 0 {
			to = at + n
		}
		segments = append(segments, [2]int{at, to})
		at = to
	}
	body := binary.AppendUvarint(nil, uint64(len(segments)))
	for _, s := range segments {
		body = append(body, 0, i32Const)
		body = append(appendSigned(body, s[0]), endOfCode)
		body = binary.AppendUvarint(body, uint64(s[1]-s[0]))
		body = append(body, memory[s[0]:s[1]]...)
	}
	return body
}

// appendSigned appends a number that is not negative as signed LEB128, whose last byte
// keeps the bit 0x40 for the sign.
func appendSigned(b []byte, n int) []byte {
	for n >= 0x40 {
		b = append(b, byte(n)|0x80)
		n >>= 7
	}
	return append(b, byte(n))
}

// A reader takes apart what a module is made of. After a failure everything is zero.
type reader struct {
	rest   []byte
	failed bool
}

func (r *reader) bytes(n int) []byte {
	if r.failed = r.failed || n < 0 || n > len(r.rest); r.failed {
		return nil
	}
	b := r.rest[:n]
	r.rest = r.rest[n:]
	return slices.Clip(b)
}

func (r *reader) byte() byte {
	if b := r.bytes(1); b != nil {
		return b[0]
	}
	return 0
}

func (r *reader) unsigned() int {
	n, size := binary.Uvarint(r.rest)
	if r.failed = r.failed || size <= 0 || n > 1<<32; r.failed {
		return 0
	}
	r.rest = r.rest[size:]
	return int(n)
}

// signed returns a number of signed LEB128, and -1 for all that are negative.
func (r *reader) signed() int {
	n := 0
	for shift := 0; shift < 35; shift += 7 {
		b := r.byte()
		n |= int(b&0x7f) << shift
		if b&0x80 == 0 {
			if b&0x40 != 0 {
				return -1
			}
			return n
		}
	}
	r.failed = true
	return 0
}
