package e2e

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
		"ErrHandshake",                                                                                     // see the reasons
		"ErrTooLarge",                                                                                      // ends nothing
		"ErrTruncated",                                                                                     // lost, where nothing says more
		"ErrSignature",                                                                                     // is ErrMisbehaved
		"ErrCredentialsExpired",                                                                            // is ErrCredentials
		"sessionstore.ErrNotStored",                                                                        // an unknown session
		"ErrProof", "ErrServing", "ErrCredentialsTooLarge", "ErrUndecided", "ErrStream", "ErrStreamStored", // end nothing
	}
	source, err := os.ReadFile("outcome.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range append(sentinels(t, ".", ""), sentinels(t, "sessionstore", "sessionstore.")...) {
		if !slices.Contains(elsewhere, name) && !strings.Contains(string(source), "{"+name+", ") {
			t.Errorf("%s has no outcome: give it one in outcome.go, and document it at Config.Logger", name)
		}
	}
	for reason, text := range fault.ReasonTexts {
		if reason != ReasonLocal && ofReason[reason] == "" {
			t.Errorf("%q has no outcome", text)
		}
	}
}

func TestOutcomes(t *testing.T) {
	broken := errors.New("broken")
	for _, c := range []struct {
		err  error
		want outcome
	}{
		{&CloseError{}, outcomeClosed},
		{&CloseError{Remote: true}, outcomePeerClosed},
		{&CloseError{Code: CodeGoingAway}, outcomeGoingAway},
		{&CloseError{Remote: true, Code: CodeExpired}, outcomeExpired},
		{&CloseError{Remote: true, Code: CodeFailed}, outcomeFailed},
		{&CloseError{Remote: true, Code: 99}, outcomeFailed},
		{&CloseError{Err: context.Canceled}, outcomeAbandoned},
		{&CloseError{Remote: true, Err: fault.Truncated(broken)}, outcomeLost},
		{&CloseError{Remote: true, Err: fault.Truncated(&HandshakeError{Reason: ReasonUnknownSession})}, outcomeUnknownSession},
		{&CloseError{Err: ErrExpired}, outcomeExpired},
		{&HandshakeError{Reason: ReasonLocal, Err: errFull}, outcomeFull},
		{&HandshakeError{Reason: ReasonLocal, Err: lobby.ErrEvicted}, outcomeEvicted},
		{&HandshakeError{Reason: ReasonLocal, Err: context.Canceled}, outcomeAbandoned},
		{&HandshakeError{Reason: ReasonLost, Err: broken}, outcomeLost},
		{&HandshakeError{Reason: ReasonTimeout, Err: context.DeadlineExceeded}, outcomeTimeout},
		{&PanicError{Value: broken}, outcomePanic},
		{broken, outcomeFailed},
	} {
		if got := outcomeOf(c.err); got != c.want {
			t.Errorf("%v: %s, want %s", c.err, got, c.want)
		}
	}
}

// What is not in a list is counted all the same, as one of the list: labels of metrics
// are few.
func TestTallyCountsUnderListedNames(t *testing.T) {
	of := tally{}
	of.count(outcomeClosed, endings)
	of.count("something new", endings)
	if got := of.figures(endings); len(got) != len(endings) || got["closed"] != 1 || got["failed"] != 1 {
		t.Errorf("%v", got)
	}
}

// documented returns the words with which the lines of a list in a comment begin.
func documented(t *testing.T, file, from, to string) (words []string) {
	t.Helper()
	source, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	_, rest, found := strings.Cut(string(source), from)
	text, _, ended := strings.Cut(rest, to)
	if !found || !ended {
		t.Fatalf("%s lacks %q … %q", file, from, to)
	}
	for _, line := range regexp.MustCompile(`(?m)^\t//\t([a-z_, ]+?)  `).FindAllStringSubmatch(text, -1) {
		words = append(words, strings.Split(line[1], ", ")...)
	}
	return words
}

func TestOutcomesAreDocumented(t *testing.T) {
	for _, list := range []struct {
		words []string
		want  []outcome
	}{
		{documented(t, "stats.go", "Greeted counts", "Greeted map"), greetings},
		{documented(t, "config.go", "The reasons for which a\n", "A connection of a session"), endings},
	} {
		slices.Sort(list.words)
		slices.Sort(list.want)
		if fmt.Sprint(list.words) != fmt.Sprint(list.want) {
			t.Errorf("documented are\n%v, counted\n%v", list.words, list.want)
		}
	}
}
