package repo

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// walks are the documents that lead through the code, with how many steps they have at least.
var walks = map[string]int{"docs/rotation.md": 22, "docs/tour.md": 40}

// In a walk [Type.Method](../folder/file.go) is a function, method, type or value that the
// file declares, and an arrow between two of them says that the first names the second.
var (
	walkStep  = regexp.MustCompile("\\[`([A-Za-z.]+)`\\]\\(\\.\\./([a-z0-9/_-]+\\.go)\\)")
	walkArrow = regexp.MustCompile(`^\s*→\s*$`)
)

func TestWalksNameTheCode(t *testing.T) {
	for name, least := range walks {
		text := read(t, name)
		if n := len(walkStep.FindAllString(text, -1)); n < least {
			t.Errorf("%s names %d pieces of code, and is a walk through %d at least", name, n, least)
		}
		for _, line := range strings.Split(text, "\n") {
			checkWalk(t, name, line)
		}
	}
}

func checkWalk(t *testing.T, name, line string) {
	t.Helper()
	steps := walkStep.FindAllStringSubmatchIndex(line, -1)
	var before ast.Node
	var from string
	for i, at := range steps {
		step, file := line[at[2]:at[3]], line[at[4]:at[5]]
		node := declared(t, file, step)
		if node == nil {
			t.Errorf("%s: %s does not declare %s", name, file, step)
		}
		if _, member, method := strings.Cut(step, "."); before != nil && walkArrow.MatchString(line[steps[i-1][1]:at[0]]) {
			if !method {
				member = step
			}
			if !names(before, member) {
				t.Errorf("%s: %s does not name %s", name, from, member)
			}
		}
		before, from = node, step
	}
}

// declared returns the declaration of a name in a file, nil if there is none.
func declared(t *testing.T, file, step string) ast.Node {
	t.Helper()
	parsed, err := parser.ParseFile(token.NewFileSet(), filepath.Join(root, file), nil, parser.SkipObjectResolution)
	if err != nil {
		t.Error(err)
		return nil
	}
	for _, d := range parsed.Decls {
		switch d := d.(type) {
		case *ast.FuncDecl:
			if step == qualified(d) {
				return d
			}
		case *ast.GenDecl:
			for _, spec := range d.Specs {
				switch spec := spec.(type) {
				case *ast.TypeSpec:
					if spec.Name.Name == step {
						return spec
					}
				case *ast.ValueSpec:
					for _, n := range spec.Names {
						if n.Name == step {
							return spec
						}
					}
				}
			}
		}
	}
	return nil
}

// qualified is the name of a function, a method's with its type.
func qualified(d *ast.FuncDecl) string {
	if d.Recv == nil {
		return d.Name.Name
	}
	of := d.Recv.List[0].Type
	if star, ok := of.(*ast.StarExpr); ok {
		of = star.X
	}
	if generic, ok := of.(*ast.IndexExpr); ok {
		of = generic.X
	}
	if id, ok := of.(*ast.Ident); ok {
		return id.Name + "." + d.Name.Name
	}
	return ""
}

func names(in ast.Node, name string) (found bool) {
	ast.Inspect(in, func(n ast.Node) bool {
		if id, ok := n.(*ast.Ident); ok && id.Name == name {
			found = true
		}
		return !found
	})
	return found
}
