package outcome

import (
	"context"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/hopseal/hopseal/e2e/internal/fault"
	"github.com/hopseal/hopseal/e2e/internal/lobby"
)

// sentinels returns the names of the errors that a package exports, each with a prefix.
func sentinels(t *testing.T, folder, prefix string) (names []string) {
	t.Helper()
	sources, err := filepath.Glob(filepath.Join(folder, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, source := range sources {
		file, err := parser.ParseFile(token.NewFileSet(), source, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range file.Decls {
			ast.Inspect(d, func(n ast.Node) bool {
				if spec, ok := n.(*ast.ValueSpec); ok && strings.HasPrefix(spec.Names[0].Name, "Err") {
					names = append(names, prefix+spec.Names[0].Name)
				}
				_, function := n.(*ast.FuncDecl)
				return !function
			})
		}
	}
	return names
}

// An error that is added without a word of its own would be counted as "failed".
func TestEveryErrorHasAnOutcome(t *testing.T) {
	elsewhere := []string{
		"fault.ErrTooLarge",           // ends nothing
		"fault.ErrTruncated",          // lost, where nothing says more
		"fault.ErrCredentialsExpired", // is ErrCredentials
		"sessionstore.ErrNotStored",   // an unknown session
		"fault.ErrUndecided",          // ends nothing
	}
	source, err := os.ReadFile("outcome.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range append(sentinels(t, "../..", "fault."), sentinels(t, "../../sessionstore", "sessionstore.")...) {
		if !slices.Contains(elsewhere, name) && !strings.Contains(string(source), "{"+name+", ") {
			t.Errorf("%s has no outcome: give it one in outcome.go, and document it at Config.Logger", name)
		}
	}
	for reason, text := range fault.ReasonTexts {
		if reason != fault.ReasonLocal && ofReason[reason] == "" {
			t.Errorf("%q has no outcome", text)
		}
	}
}

func TestOutcomes(t *testing.T) {
	broken := errors.New("broken")
	for _, c := range []struct {
		err  error
		want Outcome
	}{
		{&fault.CloseError{}, Closed},
		{&fault.CloseError{Remote: true}, PeerClosed},
		{&fault.CloseError{Code: fault.CodeGoingAway}, GoingAway},
		{&fault.CloseError{Remote: true, Code: fault.CodeExpired}, Expired},
		{&fault.CloseError{Remote: true, Code: fault.CodeFailed}, Failed},
		{&fault.CloseError{Remote: true, Code: 99}, Failed},
		{&fault.CloseError{Err: context.Canceled}, Abandoned},
		{&fault.CloseError{Remote: true, Err: fault.Truncated(broken)}, Lost},
		{&fault.CloseError{Remote: true, Err: fault.Truncated(&fault.HandshakeError{Reason: fault.ReasonUnknownSession})}, UnknownSession},
		{&fault.CloseError{Err: fault.ErrExpired}, Expired},
		{&fault.HandshakeError{Reason: fault.ReasonLocal, Err: lobby.ErrFull}, Full},
		{&fault.HandshakeError{Reason: fault.ReasonLocal, Err: lobby.ErrEvicted}, Evicted},
		{&fault.HandshakeError{Reason: fault.ReasonLocal, Err: context.Canceled}, Abandoned},
		{&fault.HandshakeError{Reason: fault.ReasonLost, Err: broken}, Lost},
		{&fault.HandshakeError{Reason: fault.ReasonTimeout, Err: context.DeadlineExceeded}, Timeout},
		{&fault.PanicError{Value: broken}, Panic},
		{broken, Failed},
	} {
		if got := Of(c.err); got != c.want {
			t.Errorf("%v: %s, want %s", c.err, got, c.want)
		}
	}
}

// What is not in a list is counted all the same, as one of the list: labels of metrics
// are few.
func TestTallyCountsUnderListedNames(t *testing.T) {
	of := Tally{}
	of.Count(Closed, Endings)
	of.Count("something new", Endings)
	if got := of.Figures(Endings); len(got) != len(Endings) || got["closed"] != 1 || got["failed"] != 1 {
		t.Errorf("%v", got)
	}
}

// documented returns the words with which the lines of a list in a comment begin.
func documented(t *testing.T, file, from string) (words []string) {
	t.Helper()
	source, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	_, rest, found := strings.Cut(string(source), from)
	if !found {
		t.Fatalf("%s lacks %q", file, from)
	}
	list := regexp.MustCompile(`(\t//\t.*\n)+`).FindString(rest) // the first one behind that
	for _, line := range regexp.MustCompile(`(?m)^\t//\t([a-z_, ]+?)  `).FindAllStringSubmatch(list, -1) {
		words = append(words, strings.Split(line[1], ", ")...)
	}
	return words
}

func TestOutcomesAreDocumented(t *testing.T) {
	for _, list := range []struct {
		words []string
		want  []Outcome
	}{
		{documented(t, "../../server_stats.go", "Greeted counts"), Greetings},
		{documented(t, "../../config.go", "these reasons:\n"), Endings},
	} {
		slices.Sort(list.words)
		slices.Sort(list.want)
		if fmt.Sprint(list.words) != fmt.Sprint(list.want) {
			t.Errorf("documented are\n%v, counted\n%v", list.words, list.want)
		}
	}
}
