//go:build !js

package stepclock

import (
	"bytes"
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
)

// Import is the path of this package.
const Import = "github.com/hopseal/hopseal/internal/stepclock"

// replaced are the functions that look at the clock, each of which has its like here.
var replaced = []string{"time.Now", "time.Since", "time.Until", "context.WithDeadline"}

// Overlay writes a file for the option -overlay of go, and what that refers to, into a folder:
// with it the packages below the folders of a module look at this clock.
func Overlay(module string, folders []string, into string) (name string, err error) {
	replace := map[string]string{}
	for _, folder := range folders {
		err := filepath.WalkDir(filepath.Join(module, folder), func(path string, d fs.DirEntry, err error) error {
			switch {
			case err != nil:
				return err
			case d.IsDir() && (d.Name() == "testdata" || path == filepath.Join(module, "internal", "stepclock")):
				return filepath.SkipDir
			case d.IsDir() || filepath.Ext(path) != ".go":
				return nil
			}
			source, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			if source, err = Rewrite(source); err != nil || source == nil {
				return err
			}
			replace[path] = filepath.Join(into, fmt.Sprintf("%d.go", len(replace)))
			return os.WriteFile(replace[path], source, 0o600)
		})
		if err != nil {
			return "", err
		}
	}
	b, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		return "", err
	}
	name = filepath.Join(into, "overlay.json")
	return name, os.WriteFile(name, b, 0o600)
}

// Rewrite returns a Go file that looks at this clock, or nil for one that looks at none. Lines
// keep their numbers.
func Rewrite(source []byte) ([]byte, error) {
	set := token.NewFileSet()
	file, err := parser.ParseFile(set, "", source, parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	var at []*ast.Ident
	packages := map[string]bool{}
	ast.Inspect(file, func(n ast.Node) bool {
		if s, ok := n.(*ast.SelectorExpr); ok {
			if x, ok := s.X.(*ast.Ident); ok && slices.Contains(replaced, x.Name+"."+s.Sel.Name) {
				at, packages[x.Name] = append(at, x), true
			}
		}
		return true
	})
	if at == nil {
		return nil, nil
	}
	var out bytes.Buffer
	from := set.Position(file.Name.End()).Offset
	fmt.Fprintf(&out, "%s;import stepclock %q", source[:from], Import)
	for _, x := range at {
		offset := set.Position(x.Pos()).Offset
		fmt.Fprintf(&out, "%sstepclock", source[from:offset])
		from = offset + len(x.Name)
	}
	out.Write(source[from:])
	for name, use := range map[string]string{"time": "time.Duration", "context": "context.Context"} {
		if packages[name] {
			fmt.Fprintf(&out, "\nvar _ %s\n", use) // the import may have no other use
		}
	}
	return out.Bytes(), nil
}
