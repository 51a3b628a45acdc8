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
	s.dropTables()
	s.roundFinder()
	return nil
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
	shown, at := []byte{0}, map[string]uint32{}
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

// dropTables keeps the tables by place that something reads, without gaps.
func (s *symbols) dropTables() {
	tables, moved := []byte{0}, map[uint32]uint32{0: 0} // offset 0 stands for no table
	keep := func(f function, word int) {
		at := f.word(word)
		if _, ok := moved[at]; !ok {
			moved[at] = uint32(len(tables))
			tables = append(tables, s.table(at)...)
		}
		f.set(word, moved[at])
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
	clear(s.tables[copy(s.tables, tables):])
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
