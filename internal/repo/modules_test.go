package repo

import (
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// imported is what a program gets that imports e2e, envelope and keys: the modules that it
// compiles, besides this one. Who stores keys gets those of stored too.
var imported = []string{
	"github.com/coder/websocket",
	"github.com/flynn/noise",
	"github.com/tink-crypto/tink-go/v2",
	"github.com/vmihailenco/msgpack/v5",
	"github.com/vmihailenco/tagparser/v2", // of msgpack
	"golang.org/x/crypto",
	"golang.org/x/net",
	"golang.org/x/sys",
	"golang.org/x/text", // of x/net
	"google.golang.org/protobuf",
}

// stored is what keys/keystore adds.
var stored = []string{"github.com/ccojocar/zxcvbn-go"} // how strong a passphrase is

// required is what go.mod asks for by itself. Tests and tools that want more are modules of
// their own, or do without.
var required = []string{
	"github.com/ccojocar/zxcvbn-go",
	"github.com/coder/websocket",
	"github.com/flynn/noise",
	"github.com/tink-crypto/tink-go/v2",
	"github.com/vmihailenco/msgpack/v5",
	"golang.org/x/crypto",
	"golang.org/x/net",
	"golang.org/x/sys",
	"golang.org/x/term", // of the command, which asks for passphrases
}

// mostModules bounds the graph, which the go command reads even where nothing of it is compiled.
const mostModules = 26

func TestGoGetStaysSmall(t *testing.T) {
	service := compiled(t, "./e2e", "./envelope", "./keys")
	if !slices.Equal(service, imported) {
		t.Errorf("whoever imports e2e, envelope and keys compiles %v", service)
	}
	more := slices.DeleteFunc(compiled(t, "./e2e", "./envelope", "./keys/keystore"), func(m string) bool { return slices.Contains(service, m) })
	if !slices.Equal(more, stored) {
		t.Errorf("whoever imports keys/keystore compiles %v too", more)
	}
	direct := goLines(t, "list", "-m", "-f", "{{if not (or .Main .Indirect)}}{{.Path}}{{end}}", "all")
	if !slices.Equal(direct, required) {
		t.Errorf("go.mod requires %v", direct)
	}
	graph := goLines(t, "list", "-m", "-f", "{{.Path}}", "all")
	t.Logf("%d modules are compiled, %d more with a store, of %d in the graph", len(service), len(more), len(graph)-1)
	if len(graph)-1 > mostModules {
		t.Errorf("the graph has %d modules, more than %d: %v", len(graph)-1, mostModules, graph)
	}
}

// compiled returns the modules, besides this one, of which packages compile something.
func compiled(t *testing.T, packages ...string) []string {
	t.Helper()
	args := append([]string{"list", "-deps", "-f", "{{with .Module}}{{.Path}}{{end}}"}, packages...)
	modules := slices.DeleteFunc(goLines(t, args...), func(m string) bool { return m == "" || m == "github.com/hopseal/hopseal" })
	slices.Sort(modules)
	return slices.Compact(modules)
}

func goLines(t *testing.T, args ...string) []string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", args...)
	cmd.Dir, cmd.Stderr = root, os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go %s: %v", strings.Join(args, " "), err)
	}
	return strings.Fields(string(out))
}
