package repo

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// listeners are all fields by which a program is told of what happens, and what becomes of that
// where the field is nil:
//
//	logged    it goes to slog.Default, and a test in the field's package shows that
//	returned  the caller has it in an error, at the end at the latest, or logs it by another field here
//	data      it is no news, but what crosses the link
var listeners = map[string]string{
	"e2e.Options.Logger":                      "logged",
	"e2e.Options.Notify":                      "returned", // Logger is told the same
	"e2e.Options.Refused":                     "logged",
	"e2e.ServeOptions.OnError":                "logged",
	"e2e.StreamOptions.Progress":              "data",
	"keys/keystore.RotationPolicy.Logger":     "logged",
	"transport.DialOptions.Notify":            "returned",
	"transport.GateOptions.Notify":            "logged",
	"transport.ProxyProtocol.OnRefuse":        "logged",
	"transport/redial.Policy.Notify":          "returned",
	"transport/relay.Options.Logger":          "logged",
	"transport/relay.Options.Tap":             "data",
	"transport/servertls.Options.Logger":      "logged",
	"transport/servertls/acme.Options.Logger": "logged",
	"transport/servertls/acme.Options.Notify": "returned", // Logger is told the same
	"transport/servertls.Options.Notify":      "returned", // Logger is told the same
}

// A program that sets nothing is not left in the dark: each field that takes news is known here,
// and its documentation says where they go instead.
func TestNothingIsSilentByDefault(t *testing.T) {
	found := listenersIn(t)
	for name, doc := range found {
		switch become := listeners[name]; {
		case become == "":
			t.Errorf("%s is in no table: say what becomes of the news where it is nil", name)
		case become == "logged" && !strings.Contains(doc, "slog.Default") && !strings.Contains(doc, "Logger"):
			t.Errorf("%s does not say that nil means slog.Default", name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(listeners)) {
		if _, ok := found[name]; !ok {
			t.Errorf("%s is not there", name)
		}
	}
}

// listenersIn returns the documentation of each exported field of each exported struct in the
// packages that a program imports, if it is a Logger or a function that returns nothing.
func listenersIn(t *testing.T) map[string]string {
	t.Helper()
	found := map[string]string{}
	for _, top := range []string{"e2e", "transport", "keys", "envelope"} {
		err := filepath.WalkDir(filepath.Join(root, top), func(path string, d fs.DirEntry, err error) error {
			switch {
			case err != nil:
				return err
			case d.IsDir() && slices.Contains([]string{"internal", "testdata", "cmd", "node_modules"}, d.Name()):
				return filepath.SkipDir
			case !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go"):
				return nil
			}
			file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ParseComments)
			if err != nil {
				return err
			}
			folder, _ := filepath.Rel(root, filepath.Dir(path))
			ast.Inspect(file, func(n ast.Node) bool {
				if typ, ok := n.(*ast.TypeSpec); ok && typ.Name.IsExported() {
					listenersOf(filepath.ToSlash(folder)+"."+typ.Name.Name, typ.Type, found)
				}
				return true
			})
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return found
}

func listenersOf(name string, typ ast.Expr, found map[string]string) {
	s, ok := typ.(*ast.StructType)
	if !ok {
		return
	}
	for _, field := range s.Fields.List {
		for _, id := range field.Names {
			if id.IsExported() && takesNews(field.Type) {
				found[name+"."+id.Name] = field.Doc.Text()
			}
		}
	}
}

// takesNews reports whether a field's type is *slog.Logger, or a function that returns nothing
// and takes something.
func takesNews(typ ast.Expr) bool {
	switch typ := typ.(type) {
	case *ast.FuncType:
		return typ.Results == nil && typ.Params.NumFields() > 0
	case *ast.StarExpr:
		sel, ok := typ.X.(*ast.SelectorExpr)
		return ok && sel.Sel.Name == "Logger"
	}
	return false
}
