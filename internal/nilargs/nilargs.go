// Package nilargs is for tests: it calls what a package exports with nil in the place of each
// argument, one after the other, and wants an error that names what is missing.
package nilargs

import (
	"context"
	"fmt"
	"go/ast"
	"go/build"
	"go/parser"
	"go/token"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// A Table says how what a package exports is called.
type Table struct {
	// Calls has each exported function, and each exported method of an exported type as a method
	// expression, that takes a pointer, an interface or a function. Its key is the name: "Open",
	// "Store.Run".
	Calls map[string]any
	// Values has an argument for each type, a function without arguments that makes it.
	Values []any
	// Optional are arguments that may be nil: "Replica.Run: func(error)".
	Optional []string
	// Panics are arguments without which there is a panic, by the documentation.
	Panics []string
}

// valueTypes are types of other packages that hold no pointer that a caller could forget.
// A fmt.State comes from package fmt; a context that is nil panics, as in the standard library.
var valueTypes = []string{"fmt.State", "context.Context", "time.Time", "time.Duration", "insecurecleartext.Token", "keys.Fingerprint", "trust.Expected", "ed25519.PublicKey", "ed25519.PrivateKey"}

// Check runs the calls, and wants the table to have all of them.
func (table Table) Check(t *testing.T) {
	for _, name := range exported(t) {
		if _, ok := table.Calls[name]; !ok {
			t.Errorf("%s takes a pointer, an interface or a function, and is not in the table: what does it do with nil?", name)
		}
	}
	for name, call := range table.Calls {
		f := reflect.ValueOf(call)
		first := strings.Count(name, ".") // the receiver
		for i := first; i < f.Type().NumIn(); i++ {
			for what, zero := range zeros(f.Type().In(i)) {
				table.call(t, name, what, f, i, zero)
			}
		}
	}
}

// zeros are the values of a type that somebody passes who forgot something.
func zeros(of reflect.Type) map[string]reflect.Value {
	if of == reflect.TypeFor[context.Context]() {
		return nil
	}
	switch of.Kind() {
	case reflect.Interface, reflect.Func:
		return map[string]reflect.Value{of.String(): reflect.Zero(of)}
	case reflect.Pointer:
		return map[string]reflect.Value{of.String(): reflect.Zero(of), "new(" + of.Elem().String() + ")": reflect.New(of.Elem())}
	}
	return nil
}

func (table Table) call(t *testing.T, name, what string, f reflect.Value, at int, zero reflect.Value) {
	typeName := strings.TrimSuffix(what[strings.LastIndexAny(what, ".*")+1:], ")")
	defer func() {
		r := recover()
		told := slices.Contains(table.Panics, name+": "+what)
		if told != (r != nil) || told && !strings.Contains(fmt.Sprint(r), typeName) {
			t.Errorf("%s where %s is missing: panic %v", name, what, r)
		}
	}()
	var args []reflect.Value
	for i := range f.Type().NumIn() {
		args = append(args, table.value(t, name, f.Type().In(i)))
	}
	args[at] = zero
	call := f.Call
	if f.Type().IsVariadic() {
		call = f.CallSlice
	}
	results := call(args)
	if slices.Contains(table.Optional, name+": "+what) {
		return
	}
	for _, r := range results {
		if err, ok := r.Interface().(error); ok && strings.Contains(err.Error(), typeName) {
			return
		} else if ok {
			t.Errorf("%s without %s: the error does not name it: %v", name, what, err)
			return
		}
	}
	t.Errorf("%s without %s: no error", name, what)
}

func (table Table) value(t *testing.T, name string, of reflect.Type) reflect.Value {
	for _, make := range table.Values {
		if m := reflect.ValueOf(make); m.Type().Out(0) == of {
			return m.Call(nil)[0]
		}
	}
	if k := of.Kind(); k == reflect.Interface || k == reflect.Pointer || k == reflect.Func {
		t.Fatalf("%s: the table makes no %v", name, of)
	}
	return reflect.Zero(of)
}

// exported returns what the package in this folder exports that can be given nil.
func exported(t *testing.T) (names []string) {
	t.Helper()
	decls, interfaces := declarations(t), map[string]bool{}
	for _, d := range decls {
		if g, ok := d.(*ast.GenDecl); ok {
			for _, spec := range g.Specs {
				if spec, ok := spec.(*ast.TypeSpec); ok {
					_, interfaces[spec.Name.Name] = spec.Type.(*ast.InterfaceType)
				}
			}
		}
	}
	for _, d := range decls {
		f, ok := d.(*ast.FuncDecl)
		if !ok || !f.Name.IsExported() || !slices.ContainsFunc(f.Type.Params.List, func(p *ast.Field) bool { return canBeNil(p.Type, interfaces) }) {
			continue
		}
		if name, ok := nameOf(f); ok {
			names = append(names, name)
		}
	}
	return names
}

// declarations are those of the package's files for the system that the tests run on.
func declarations(t *testing.T) (all []ast.Decl) {
	t.Helper()
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range files {
		if here, err := build.Default.MatchFile(".", name); err != nil || !here || strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, file.Decls...)
	}
	return all
}

// nameOf returns the name of a function or method, and whether its type is exported.
func nameOf(f *ast.FuncDecl) (string, bool) {
	if f.Recv == nil {
		return f.Name.Name, true
	}
	of := f.Recv.List[0].Type
	if star, ok := of.(*ast.StarExpr); ok {
		of = star.X
	}
	id, ok := of.(*ast.Ident)
	return fmt.Sprint(of) + "." + f.Name.Name, ok && id.IsExported()
}

func canBeNil(of ast.Expr, interfaces map[string]bool) bool {
	switch of := of.(type) {
	case *ast.StarExpr, *ast.FuncType, *ast.InterfaceType:
		return true
	case *ast.Ident:
		return interfaces[of.Name]
	case *ast.SelectorExpr:
		return !slices.Contains(valueTypes, fmt.Sprintf("%v.%s", of.X, of.Sel.Name))
	}
	return false
}
