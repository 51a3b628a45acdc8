package wasmbuild

import (
	"encoding/binary"
	"errors"
	"maps"
	"slices"
	"strings"
)

// knownGo begins the names of the releases whose runtime somebody has read for this: everything in
// it that reads a function's name, file, line, tables or data.
const knownGo = "go1.26"

// slim takes out of a linked core what takes bytes and does nothing in a page.
func slim(core []byte, goVersion string) ([]byte, error) {
	if !strings.HasPrefix(goVersion, knownGo) {
		return nil, errors.New("wasmbuild: this code knows the runtime of " + knownGo + " and not that of " + goVersion)
	}
	sections, err := parseModule(core)
	if err != nil {
		return nil, err
	}
	at := slices.IndexFunc(sections, func(s section) bool { return s.id == dataSection })
	if at < 0 {
		return nil, errModule
	}
	memory, err := parseData(sections[at].body)
	if err != nil {
		return nil, err
	}
	if err := slimMemory(memory); err != nil {
		return nil, err
	}
	sections[at].body = writeData(memory)
	return writeModule(sections), nil
}

func slimMemory(memory []byte) error {
	s, err := findSymbols(memory)
	if err != nil {
		return err
	}
	if err := s.dropP256(memory); err != nil { // before the names go
		return err
	}
	s.dropData()
	s.dropNames()
	s.roundFinder()
	return s.dropTables()
}

// Tables and data that are for tracebacks, and for interrupting a goroutine anywhere, which
// WebAssembly cannot do. The collector, growing stacks, panics and defer read the others.
var (
	unreadPlaces = []int{0, 2, 3}    // unsafe points, inlined calls, live arguments
	unreadData   = []int{3, 5, 6, 7} // inlined calls, arguments, live arguments, wrapped functions
)

// dropData removes what only tracebacks read of a function. Functions share data, so bytes go only
// where no function is left that refers to them: from one offset up to the next.
func (s *symbols) dropData() {
	kept := map[uint32]bool{uint32(len(s.data)): true}
	for _, f := range s.list {
		for i := range f.datas() {
			word := f.firstData() + i
			at := f.word(word)
			if read := !slices.Contains(unreadData, i); at != absentData {
				kept[at] = kept[at] || read
			}
			if slices.Contains(unreadData, i) {
				f.set(word, absentData)
			}
		}
	}
	offsets := slices.Sorted(maps.Keys(kept))
	for i, at := range offsets[:len(offsets)-1] {
		if !kept[at] {
			clear(s.data[at:offsets[i+1]])
		}
	}
}

// shownName is what a traceback calls a function. A panic in a method of a value whose pointer is nil
// reads the name of that form, and a goroutine counts as the runtime's own by the package.
func shownName(name string) string {
	switch {
	case name == "reflect.makeFuncStub", name == "reflect.methodValueCall": // the collector looks for them
		return name
	case strings.HasPrefix(name, "runtime."):
		return "runtime.(*?).?"
	}
	return "hopseal.(*?).?"
}

// dropNames removes the names of functions and files, and the numbers of lines.
func (s *symbols) dropNames() {
	shown, at := []byte{0}, map[string]uint32{} // shorter than the names of any core
	for _, f := range s.list {
		name := shownName(s.name(f))
		if at[name] == 0 {
			at[name] = uint32(len(shown))
			shown = append(append(shown, name...), 0)
		}
		for _, word := range []int{fileWord, lineWord, unitWord, startWord} {
			f.set(word, 0)
		}
		f.set(nameWord, at[name])
	}
	clear(s.names[copy(s.names, shown):])
	clear(s.units)
	clear(s.files)
}

// dropTables keeps the tables by place that something reads, each once and without gaps.
func (s *symbols) dropTables() error {
	tables, offsets := []byte{0}, map[string]uint32{"": 0} // offset 0 stands for no table
	keep := func(f function, word int) {
		table := ""
		if at := f.word(word); at != 0 {
			table = string(stretched(s.table(at)))
		}
		at, ok := offsets[table]
		if !ok {
			at = uint32(len(tables))
			offsets[table] = at
			tables = append(tables, table...)
		}
		f.set(word, at)
	}
	for _, f := range s.list {
		keep(f, stackWord)
		for i := range f.places() {
			if slices.Contains(unreadPlaces, i) {
				f.set(firstPlace+i, 0)
			}
			keep(f, firstPlace+i)
		}
	}
	if len(tables) > len(s.tables) {
		return unknown("the size of tables")
	}
	clear(s.tables[copy(s.tables, tables):])
	return nil
}

// placesPerFunction is how many places a function may have.
const placesPerFunction = 1 << 16

// stretched returns a table whose last value holds to the end of the largest function there can be,
// instead of that of its own: so functions of different lengths have one table.
func stretched(table []byte) []byte {
	in := &reader{rest: table}
	for places := 0; ; {
		in.unsigned() // the value
		at := len(table) - len(in.rest)
		if size := in.unsigned(); len(in.rest) > 1 {
			places += size
			continue
		}
		return append(binary.AppendUvarint(table[:at:at], uint64(placesPerFunction-places)), 0)
	}
}

// round is how many functions in a row share the place where a search for them begins.
const round = 16

// roundFinder lets a search begin a few functions earlier: it goes on until it finds the function.
func (s *symbols) roundFinder() {
	for at := 0; at+bucketSize <= len(s.finder); at += bucketSize {
		first := binary.LittleEndian.Uint32(s.finder[at:])
		binary.LittleEndian.PutUint32(s.finder[at:], first/round*round)
	}
}
