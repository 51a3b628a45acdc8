package label

import (
	"go/ast"
	"go/parser"
	"go/token"
	"strings"
	"testing"
)

// A04: no label is a prefix of another, so no input that starts with one can be
// read as an input that starts with another.
func TestA04LabelsAreDistinctDomains(t *testing.T) {
	all := All()
	for i, a := range all {
		if !strings.HasPrefix(string(a), "hopseal/1 ") || strings.IndexByte(string(a), 0) != len(a)-1 {
			t.Errorf("%q does not have the form of a label", a)
		}
		for j, b := range all {
			if i != j && strings.HasPrefix(string(b), string(a)) {
				t.Errorf("%q is a prefix of %q", a, b)
			}
		}
	}
}

// All is written by hand; a label left out of it would escape the test above.
func TestAllNamesEveryLabel(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), "label.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	declared := 0
	ast.Inspect(file, func(n ast.Node) bool {
		if spec, ok := n.(*ast.ValueSpec); ok {
			declared += len(spec.Names)
		}
		return true
	})
	if declared != len(All()) {
		t.Errorf("label.go declares %d labels, All returns %d", declared, len(All()))
	}
}
