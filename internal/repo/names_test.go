package repo

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var (
	namedInPackage = regexp.MustCompile(`(?:^|[^\w./"-])([a-z][a-z0-9]*)\.([A-Z]\w*)(?:\.([A-Z]\w*))?`)
	namedInType    = regexp.MustCompile(`(?:^|[^\w./"-])([A-Z]\w*)\.([A-Z]\w*)`)
)

// foreign are names of others that read like names in a package of this repository, with why.
var foreign = map[string]string{
	"mux.Handle":                    "an http.ServeMux",
	"keyset.ReadWithAssociatedData": "Tink's",
	"peer.Public":                   "a variable of an example",
	"slog.New":                      "log/slog's",
	"slog.DiscardHandler":           "log/slog's",
	"slog.LogValuer":                "log/slog's",
}

// Documents and comments name what the packages declare: `package.Name`, `package.Type.Member`
// or `Type.Member`. What is moved or renamed is moved and renamed in prose too.
func TestNamesInProseExist(t *testing.T) {
	declared := declarations(t)
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return skipForeign(d, err)
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for _, text := range prose(t, path, b) {
			for _, name := range declared.missing(text) {
				if foreign[name] != "" {
					continue
				}
				t.Errorf("%s: no package declares %s", path, name)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// prose returns what is checked in a file: a whole document, or the comments of code.
func prose(t *testing.T, path string, content []byte) []string {
	switch filepath.Ext(path) {
	case ".md":
		if strings.Contains(path, "decisions") || strings.HasSuffix(path, "CHANGELOG.md") {
			return nil // they tell of what was
		}
		return []string{string(content)}
	case ".go":
		f, err := parser.ParseFile(token.NewFileSet(), path, content, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		var out []string
		for _, c := range f.Comments {
			out = append(out, c.Text())
		}
		return out
	}
	return nil
}

// A vocabulary holds the exported names of packages, and those of the members of their types.
// Packages of one name are taken for one, and so are types of one name in them.
type vocabulary struct {
	packages map[string]map[string]bool // package → name
	types    map[string][]string        // type → package.Type
	members  map[string]map[string]bool // package.Type → field or method
	embedded map[string][]string        // package.Type → package.Type
}

func (v *vocabulary) missing(text string) (out []string) {
	for _, m := range namedInPackage.FindAllStringSubmatch(text, -1) {
		names, ours := v.packages[m[1]]
		if ours && (!names[m[2]] || m[3] != "" && v.lacks(m[1]+"."+m[2], m[3])) {
			out = append(out, strings.Trim(m[0], " `([*\t\n"))
		}
	}
	for _, m := range namedInType.FindAllStringSubmatch(text, -1) {
		lacks := func(typ string) bool { return !v.lacks(typ, m[2]) }
		if all := v.types[m[1]]; len(all) > 0 && !slices.ContainsFunc(all, lacks) {
			out = append(out, strings.Trim(m[0], " `([*\t\n"))
		}
	}
	return out
}

// lacks reports whether a type of the repository has no such member, of its own or of a type
// that it embeds.
func (v *vocabulary) lacks(typ, member string) bool {
	members, ours := v.members[typ]
	if !ours || members[member] {
		return false
	}
	for _, inner := range v.embedded[typ] {
		if v.members[inner] == nil || !v.lacks(inner, member) {
			return false // foreign types are not looked at
		}
	}
	return true
}

func declarations(t *testing.T) *vocabulary {
	v := &vocabulary{map[string]map[string]bool{}, map[string][]string{}, map[string]map[string]bool{}, map[string][]string{}}
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || filepath.Ext(path) != ".go" {
			return skipForeign(d, err)
		}
		f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		for _, d := range f.Decls {
			v.add(strings.TrimSuffix(f.Name.Name, "_test"), d)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func (v *vocabulary) add(pkg string, d ast.Decl) {
	switch d := d.(type) {
	case *ast.FuncDecl:
		if typ, method, found := strings.Cut(qualified(d), "."); found {
			v.member(pkg+"."+typ, method)
		} else {
			v.name(pkg, typ)
		}
	case *ast.GenDecl:
		for _, spec := range d.Specs {
			switch spec := spec.(type) {
			case *ast.ValueSpec:
				for _, n := range spec.Names {
					v.name(pkg, n.Name)
				}
			case *ast.TypeSpec:
				v.name(pkg, spec.Name.Name)
				v.types[spec.Name.Name] = append(v.types[spec.Name.Name], pkg+"."+spec.Name.Name)
				v.addType(pkg, pkg+"."+spec.Name.Name, spec.Type)
			}
		}
	}
}

func (v *vocabulary) addType(pkg, name string, typ ast.Expr) {
	v.member(name, "")
	var fields *ast.FieldList
	switch typ := typ.(type) {
	case *ast.StructType:
		fields = typ.Fields
	case *ast.InterfaceType:
		fields = typ.Methods
	case *ast.Ident, *ast.SelectorExpr: // the members of that type
		v.embedded[name] = append(v.embedded[name], typeName(pkg, typ))
		return
	default:
		return
	}
	for _, field := range fields.List {
		for _, n := range field.Names {
			v.member(name, n.Name)
		}
		if len(field.Names) == 0 {
			inner := typeName(pkg, field.Type)
			v.embedded[name] = append(v.embedded[name], inner)
			v.member(name, inner[strings.Index(inner, ".")+1:])
		}
	}
}

func (v *vocabulary) name(pkg, name string) {
	if v.packages[pkg] == nil {
		v.packages[pkg] = map[string]bool{}
	}
	v.packages[pkg][name] = true
}

func (v *vocabulary) member(typ, name string) {
	if v.members[typ] == nil {
		v.members[typ] = map[string]bool{}
	}
	v.members[typ][name] = true
}

// typeName is the name of a type with its package's.
func typeName(pkg string, typ ast.Expr) string {
	switch typ := typ.(type) {
	case *ast.StarExpr:
		return typeName(pkg, typ.X)
	case *ast.IndexExpr:
		return typeName(pkg, typ.X)
	case *ast.SelectorExpr:
		return packageOf(typ.X) + "." + typ.Sel.Name
	case *ast.Ident:
		return pkg + "." + typ.Name
	}
	return "."
}

func packageOf(x ast.Expr) string {
	if id, ok := x.(*ast.Ident); ok {
		return id.Name
	}
	return ""
}
