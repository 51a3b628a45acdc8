package wasmbuild

import (
	"bytes"
	"encoding/binary"
	"fmt"
)

// symbols is the table of functions ("pclntab") in the memory of a core: what the runtime knows of
// each function. The linker writes it (cmd/link/internal/ld/pcln.go), the runtime reads it
// (runtime/symtab.go, where the fields of moduledata and _func are explained).
type symbols struct {
	names  []byte // of functions, each with a NUL at its end
	units  []byte // which files a compilation unit has
	files  []byte // names of files
	tables []byte // values that depend on the place in a function: line, depth of the stack, …
	data   []byte // what the collector and tracebacks know of functions
	finder []byte // where in the list of functions a search begins
	list   []function
}

// A function is one entry of the list: words of 32 bits, as they lie in memory.
type function []byte

// Words of a function (runtime._func).
const (
	entryWord = iota
	nameWord
	_
	_
	stackWord // depth of the stack, at each place
	fileWord
	lineWord
	placesWord // how many tables by place follow
	unitWord
	startWord
	flagsWord // its last byte says how many offsets into data follow the tables
	firstPlace

	minFunction  = 4 * firstPlace
	maxPlaces    = 5 // internal/abi/symtab.go has the numbers of tables and data
	maxFuncData  = 8
	absentData   = 1<<32 - 1
	bucketSize   = 20 // of the finder: a number in the list, and 16 bytes that are added to it
	moduleWords  = 42
	pclntabMagic = "\xf1\xff\xff\xff\x00\x00\x01\x08" // with the bytes of an instruction and of a pointer
)

func (f function) word(i int) uint32       { return binary.LittleEndian.Uint32(f[4*i:]) }
func (f function) set(i int, value uint32) { binary.LittleEndian.PutUint32(f[4*i:], value) }
func (f function) places() int             { return int(f.word(placesWord)) }
func (f function) datas() int              { return int(f.word(flagsWord) >> 24) }
func (f function) firstData() int          { return firstPlace + f.places() }
func (f function) size() int               { return 4 * (f.firstData() + f.datas()) }

// findSymbols finds the table in a core's memory. It takes only one that looks in every respect as
// the linker of a known release writes it.
func findSymbols(memory []byte) (*symbols, error) {
	at := bytes.Index(memory, []byte(pclntabMagic))
	if at < 0 || bytes.Count(memory, []byte(pclntabMagic)) != 1 {
		return nil, unknown("the table of functions")
	}
	head := words(memory, at+8, 8) // functions, files, 0, offsets of: names, units, files, tables, list
	module := bytes.Index(memory, pair(uint64(at), uint64(at)+head[3]))
	if module < 0 {
		return nil, unknown("what points to the table of functions")
	}
	m := words(memory, module, moduleWords) // runtime.moduledata: a pointer, six slices, addresses
	const slices, finder, goFunc, end = 1, 19, 40, 41
	s := &symbols{}
	var list []byte
	for i, part := range []*[]byte{&s.names, &s.units, &s.files, &s.tables, &list} {
		from := m[slices+3*i]
		to := from + m[slices+3*i+1]*[]uint64{1, 4, 1, 1, 1}[i]
		if from != uint64(at)+head[3+i] || from > to || to > uint64(len(memory)) || i < 4 && (to-1)/8 > m[slices+3*(i+1)]/8 {
			return nil, unknown("the parts of the table of functions")
		}
		*part = memory[from:to:to]
	}
	if m[slices+15] != m[slices+12] || m[slices+16] != head[0]+1 || m[goFunc] > m[finder] || m[finder] > m[end] || m[end] > uint64(len(memory)) {
		return nil, unknown("what lies behind the table of functions")
	}
	s.data, s.finder = memory[m[goFunc]:m[finder]], memory[m[finder]:m[end]]
	if err := s.readList(list, int(head[0])); err != nil {
		return nil, err
	}
	return s, s.checkFinder()
}

// checkFinder checks that a function has 16 buckets, for 4,096 places each, which begin with its number.
func (s *symbols) checkFinder() error {
	for i := range len(s.finder) / bucketSize {
		bucket := s.finder[i*bucketSize:][:bucketSize]
		if int(binary.LittleEndian.Uint32(bucket)) != i/16 || i/16 >= len(s.list) || [16]byte(bucket[4:]) != [16]byte{} {
			return unknown("where a search for functions begins")
		}
	}
	return nil
}

func unknown(what string) error { return fmt.Errorf("%w: %s", errModule, what) }

func words(memory []byte, at, n int) []uint64 {
	w := make([]uint64, n)
	for i := range w {
		if at+8*i+8 <= len(memory) {
			w[i] = binary.LittleEndian.Uint64(memory[at+8*i:])
		}
	}
	return w
}

func pair(a, b uint64) []byte {
	return binary.LittleEndian.AppendUint64(binary.LittleEndian.AppendUint64(nil, a), b)
}

// readList reads n functions: an index of entries and offsets, and then one function after the other.
func (s *symbols) readList(list []byte, n int) error {
	if len(list) < 8*n+4 {
		return unknown("the list of functions")
	}
	at := align8(8*n + 4)
	for i := range n {
		f := function(list[min(at, len(list)):])
		if len(f) < minFunction || f.places() > maxPlaces || f.datas() > maxFuncData || f.size() > len(f) {
			return unknown("a function")
		}
		f = f[:f.size():f.size()]
		entry, offset := binary.LittleEndian.Uint32(list[8*i:]), binary.LittleEndian.Uint32(list[8*i+4:])
		if entry != f.word(entryWord) || int(offset) != at || !s.known(f) {
			return unknown("a function")
		}
		s.list = append(s.list, f)
		at = align8(at + f.size())
	}
	if at != align8(len(list)) {
		return unknown("the end of the list of functions")
	}
	return nil
}

func align8(n int) int { return (n + 7) &^ 7 }

// known reports whether everything that a function refers to is where it should be.
func (s *symbols) known(f function) bool {
	name := int(f.word(nameWord))
	ok := name < len(s.names) && (name == 0 || s.names[name-1] == 0)
	tables := []uint32{f.word(stackWord), f.word(fileWord), f.word(lineWord)}
	for i := range f.places() {
		tables = append(tables, f.word(firstPlace+i))
	}
	for _, at := range tables {
		ok = ok && (at == 0 || s.table(at) != nil)
	}
	for i := range f.datas() {
		at := f.word(f.firstData() + i)
		ok = ok && (at == absentData || int(at) < len(s.data))
	}
	return ok
}

// name returns the name of a function.
func (s *symbols) name(f function) string {
	name, _, _ := bytes.Cut(s.names[f.word(nameWord):], []byte{0})
	return string(name)
}

// table returns a table by place, and nil if there is none at that offset: pairs of numbers, the
// difference of the value and of the place, up to a difference of 0 in the value that is not the first.
func (s *symbols) table(at uint32) []byte {
	in := &reader{rest: s.tables[min(int(at), len(s.tables)):]}
	whole := in.rest
	for first := true; ; first = false {
		if value := in.unsigned(); in.failed {
			return nil
		} else if value == 0 && !first {
			return whole[:len(whole)-len(in.rest)]
		}
		in.unsigned()
	}
}
