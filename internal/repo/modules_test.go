package repo

import (
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// imported is what a program gets that imports e2e, envelope and keys/keystore: the modules that
// it compiles, besides this one.
var imported = []string{
	"github.com/ccojocar/zxcvbn-go", // how strong a passphrase is
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
	got := goLines(t, "list", "-deps", "-f", "{{with .Module}}{{.Path}}{{end}}", "./e2e", "./envelope", "./keys/keystore")
	got = slices.DeleteFunc(got, func(m string) bool { return m == "" || m == "github.com/hopseal/hopseal" })
	if slices.Sort(got); !slices.Equal(slices.Compact(got), imported) {
		t.Errorf("whoever imports e2e, envelope and keys/keystore compiles %v", slices.Compact(got))
	}
	direct := goLines(t, "list", "-m", "-f", "{{if not (or .Main .Indirect)}}{{.Path}}{{end}}", "all")
	if !slices.Equal(direct, required) {
		t.Errorf("go.mod requires %v", direct)
	}
	graph := goLines(t, "list", "-m", "-f", "{{.Path}}", "all")
	t.Logf("%d modules are compiled, of %d in the graph", len(imported), len(graph)-1)
	if len(graph)-1 > mostModules {
		t.Errorf("the graph has %d modules, more than %d: %v", len(graph)-1, mostModules, graph)
	}
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
