package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

const (
	module   = "github.com/hopseal/hopseal"
	maxLines = 400
)

// A House is what there is to say about all packages.
type House struct {
	Rooms                    []Room
	Methods, ExportedMethods int      // of e2e.Session
	Upwards                  []string // imports that the layers do not allow
}

// A Room is a package, without its tests.
type Room struct {
	Path            string // within the module
	Files, Lines    int
	Exported        int      // names at the top of the package, but for those in Enumerated
	Enumerated      int      // constants of a type of the package, which go doc shows under it
	Knot            []string // the most files of which each leads to each other by what it names
	Long            []string // files of more than 400 lines, with their number
	imports         []string
	methods, public int // of Session
}

// Measure reads the module at a folder, as it is built here.
func Measure(root string) (*House, error) {
	listed, exports, err := list(root)
	if err != nil {
		return nil, err
	}
	h := new(House)
	for _, p := range listed {
		r, err := p.measure(exports)
		if err != nil {
			return nil, err
		}
		h.Rooms = append(h.Rooms, r)
		h.Upwards = append(h.Upwards, upwards(r.Path, r.imports)...)
		h.Methods, h.ExportedMethods = h.Methods+r.methods, h.ExportedMethods+r.public
	}
	slices.SortFunc(h.Rooms, func(a, b Room) int { return strings.Compare(a.Path, b.Path) })
	return h, nil
}

// listedPackage is what go list says about one.
type listedPackage struct {
	ImportPath, Dir, Export string
	GoFiles, Imports        []string
	Module                  *struct{ Path string }
}

// list returns the packages of the module, and where the compiled form of each package
// that these import is.
func list(root string) (own []listedPackage, exports map[string]string, err error) {
	cmd := exec.Command("go", "list", "-export", "-deps", "-json=ImportPath,Dir,Export,GoFiles,Imports,Module", "./...")
	cmd.Dir, cmd.Stderr = root, os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, nil, fmt.Errorf("go list: %w", err)
	}
	exports = make(map[string]string)
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var p listedPackage
		if err := d.Decode(&p); err == io.EOF {
			return own, exports, nil
		} else if err != nil {
			return nil, nil, err
		}
		exports[p.ImportPath] = p.Export
		if p.Module != nil && p.Module.Path == module {
			own = append(own, p)
		}
	}
}

func (p listedPackage) measure(exports map[string]string) (Room, error) {
	r := Room{Path: strings.TrimPrefix(strings.TrimPrefix(p.ImportPath, module), "/"), Files: len(p.GoFiles), imports: p.Imports}
	fset := token.NewFileSet()
	var files []*ast.File
	for _, name := range p.GoFiles {
		f, err := parser.ParseFile(fset, filepath.Join(p.Dir, name), nil, parser.SkipObjectResolution)
		if err != nil {
			return r, err
		}
		files = append(files, f)
		n, err := lines(filepath.Join(p.Dir, name))
		if err != nil {
			return r, err
		}
		if r.Lines += n; n > maxLines {
			r.Long = append(r.Long, fmt.Sprintf("%s:%d", name, n))
		}
	}
	compiled := func(path string) (io.ReadCloser, error) { return os.Open(exports[path]) }
	info := &types.Info{Uses: make(map[*ast.Ident]types.Object)}
	conf := types.Config{Importer: importer.ForCompiler(fset, "gc", compiled)}
	pkg, err := conf.Check(p.ImportPath, fset, files, info)
	if err != nil {
		return r, err
	}
	if pkg.Name() != "main" {
		r.Exported, r.Enumerated = exported(pkg)
	}
	if r.Path == "e2e" {
		r.methods, r.public = methods(pkg, "Session")
	}
	r.Knot = knot(fset, pkg, info)
	return r, nil
}

// exported counts the names of a package. The constants of a type that the package names count
// with the type.
func exported(pkg *types.Package) (names, enumerated int) {
	own := make(map[types.Type]bool)
	for _, name := range pkg.Scope().Names() {
		if t, ok := pkg.Scope().Lookup(name).(*types.TypeName); ok && t.Exported() {
			own[types.Unalias(t.Type())] = true
		}
	}
	for _, name := range pkg.Scope().Names() {
		if !token.IsExported(name) {
			continue
		}
		object := pkg.Scope().Lookup(name)
		if _, constant := object.(*types.Const); constant && own[types.Unalias(object.Type())] {
			enumerated++
		} else {
			names++
		}
	}
	return names, enumerated
}

func lines(path string) (n int, err error) {
	f, err := os.Open(path)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	s := bufio.NewScanner(f)
	s.Buffer(nil, 1<<20)
	for s.Scan() {
		n++
	}
	return n, s.Err()
}

func methods(pkg *types.Package, name string) (all, exported int) {
	named := pkg.Scope().Lookup(name).Type().(*types.Named)
	for m := range named.Methods() {
		if all++; m.Exported() {
			exported++
		}
	}
	return all, exported
}

// knot returns the files of the largest set in which each leads to each other.
func knot(fset *token.FileSet, pkg *types.Package, info *types.Info) (largest []string) {
	leads := make(map[string]map[string]bool)
	for id, object := range info.Uses {
		if object.Pkg() != pkg || !declared(pkg, object) {
			continue
		}
		from, to := fileOf(fset, id.Pos()), fileOf(fset, object.Pos())
		if leads[from] == nil {
			leads[from] = make(map[string]bool)
		}
		leads[from][to] = true
	}
	reach := make(map[string]map[string]bool)
	for from := range leads {
		reach[from] = reached(leads, from)
	}
	for from := range reach {
		set := []string{from}
		for to := range reach[from] {
			if to != from && reach[to][from] {
				set = append(set, to)
			}
		}
		if len(set) > max(1, len(largest)) {
			slices.Sort(set)
			largest = set
		}
	}
	return largest
}

// declared reports whether an object is a declaration of the package, a method or a
// field, and no variable of a function.
func declared(pkg *types.Package, object types.Object) bool {
	switch o := object.(type) {
	case *types.Func:
		return true
	case *types.Var:
		return o.IsField() || o.Parent() == pkg.Scope()
	}
	return object.Parent() == pkg.Scope()
}

func reached(leads map[string]map[string]bool, from string) map[string]bool {
	seen := make(map[string]bool)
	for next := []string{from}; len(next) > 0; {
		at := next[0]
		next = next[1:]
		for to := range leads[at] {
			if !seen[to] {
				seen[to] = true
				next = append(next, to)
			}
		}
	}
	return seen
}

func fileOf(fset *token.FileSet, pos token.Pos) string {
	return filepath.Base(fset.Position(pos).Filename)
}
