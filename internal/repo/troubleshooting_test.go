package repo

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// explained are the packages each of whose errors has a row in docs/troubleshooting.md. (That the
// rows are what the code says is checked in package transport, which has more of them.)
var explained = []string{
	"e2e",
	"e2e/internal/fault",
	"e2e/internal/flow",
	"e2e/internal/lobby",
	"e2e/internal/meet",
	"e2e/internal/signing",
	"e2e/internal/streams",
	"e2e/internal/vault",
	"e2e/sessionstore",
	"e2e/mux",
	"e2e/netconn",
	"keys",
	"keys/internal/ring",
	"keys/keyio", "keys/keystore", "keys/trust",
	"keys/keystore/internal/socket",
	"internal/filelock",
	"envelope",
}

// notErrors are texts that look like errors, and that nobody is shown by themselves.
var notErrors = []string{
	"not signed", "something else came first", "locked", // signals between functions
	"the session has no connection now", "the client came back on another connection", // which Send and Receive wait out
	"bytes, at most", "upgrade this end to read it", // around another text
}

// Who meets an error finds its text in docs/troubleshooting.md, with its cause and what to do.
func TestEveryErrorIsExplained(t *testing.T) {
	var rows []string
	for _, m := range regexp.MustCompile("(?m)^\\| `([^`]+)` \\| ([^|]+) \\| ([^|]+) \\|$").FindAllStringSubmatch(read(t, "docs/troubleshooting.md"), -1) {
		rows = append(rows, m[1])
	}
	all := 0
	for _, folder := range explained {
		texts := errorTexts(t, folder)
		if all += len(texts); len(texts) == 0 {
			t.Errorf("package %s has no texts: the test does not find them", folder)
		}
		for text, where := range texts {
			if pieces := tellingPieces(text); len(pieces) > 0 && !slices.ContainsFunc(pieces, func(piece string) bool { return hasRow(rows, piece) }) {
				t.Errorf("%s: docs/troubleshooting.md has no row for %q", where, text)
			}
		}
	}
	if all < 100 {
		t.Errorf("only %d texts: the test does not find them", all)
	}
}

func hasRow(rows []string, piece string) bool {
	return slices.ContainsFunc(rows, func(row string) bool {
		row = strings.Trim(row, " :,;")
		return strings.Contains(row, piece) || strings.Contains(piece, row) && 5*len(row) >= 2*len(piece)
	})
}

var verbs = regexp.MustCompile(`%[-+# 0-9.]*[a-zA-Z]`)

// tellingPieces returns the parts of a text that say something, without what is filled in.
func tellingPieces(text string) (pieces []string) {
	for _, prefix := range []string{"e2e: ", "keys: ", "envelope: "} {
		text = strings.TrimPrefix(text, prefix)
	}
	for _, piece := range verbs.Split(text, -1) {
		if piece = strings.Trim(piece, " :,;()"); len(piece) >= 12 && strings.Contains(piece, " ") && !slices.Contains(notErrors, piece) {
			pieces = append(pieces, piece)
		}
	}
	return pieces
}

// errorTexts returns the literals of a package that end up in errors, and where they stand: what
// errors.New and fmt.Errorf are given, what stands in a method Error or in one that makes a part
// of its text, in tables of texts, and what begins with the name of the public package.
func errorTexts(t *testing.T, folder string) map[string]string {
	t.Helper()
	top, _, _ := strings.Cut(folder, "/")
	found := map[string]string{}
	files, err := filepath.Glob(filepath.Join(root, folder, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		take := func(n ast.Node, all bool) {
			ast.Inspect(n, func(n ast.Node) bool {
				if lit, ok := n.(*ast.BasicLit); ok && lit.Kind == token.STRING {
					if text, err := strconv.Unquote(lit.Value); err == nil && (all || strings.HasPrefix(text, top+": ")) {
						found[text] = folder + "/" + filepath.Base(name)
					}
				}
				return true
			})
		}
		take(file, false)
		ast.Inspect(file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.CallExpr:
				if makesError(n) {
					take(n.Args[0], true)
				}
			case *ast.FuncDecl:
				if n.Recv != nil && n.Body != nil && slices.Contains([]string{"Error", "text", "missed"}, n.Name.Name) {
					take(n.Body, true)
				}
			case *ast.ValueSpec:
				if strings.HasSuffix(n.Names[0].Name, "Texts") || strings.HasSuffix(n.Names[0].Name, "Advice") {
					take(n, true)
				}
			}
			return true
		})
	}
	return found
}

func makesError(call *ast.CallExpr) bool {
	sel, ok := call.Fun.(*ast.SelectorExpr)
	if !ok || len(call.Args) == 0 {
		return false
	}
	x, ok := sel.X.(*ast.Ident)
	return ok && (x.Name == "errors" && sel.Sel.Name == "New" || x.Name == "fmt" && sel.Sel.Name == "Errorf")
}
