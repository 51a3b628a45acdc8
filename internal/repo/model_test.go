package repo

import (
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const models = "docs/model"

var modelNames = []string{"resume", "rekey", "session", "close", "delivery"}

// broken says what spin prints first for each kind of error that README.md names.
var broken = map[string]*regexp.Regexp{
	"stranded":  regexp.MustCompile(`assertion violated 0 `),
	"replay":    regexp.MustCompile(`assertion violated .*taken`),
	"ended":     regexp.MustCompile(`assertion violated \(adopted<=`),
	"hasty":     regexp.MustCompile(`assertion violated \(a\[at\]\.credentials<=stale\)`),
	"peer":      regexp.MustCompile(`assertion violated .*said\[peer\]`),
	"signature": regexp.MustCompile(`assertion violated \(c==known\)`),
	"cut":       regexp.MustCompile(`assertion violated \(got==numbered\)`),
	"blamed":    regexp.MustCompile(`assertion violated \(\(number==got\)&&\(begun==0\)\)`),
	"missing":   regexp.MustCompile(`assertion violated \(\(number>=got\)&&\(number==numbered\)\)`),
	"nil":       regexp.MustCompile(`assertion violated .*\|\|\(got==numbered\)\)`),
	"pieces":    regexp.MustCompile(`assertion violated \(\(count==\(got\+1\)\)&&\(number==`),
	"order":     regexp.MustCompile(`assertion violated \(count==\(e\[s\]\.got\+1\)\)`),
	"room":      regexp.MustCompile(`assertion violated .*got-e\[s\]\.taken`),
	"ack":       regexp.MustCompile(`assertion violated .*acked`),
	"deadlock":  regexp.MustCompile(`invalid end state`),
}

var (
	rule       = regexp.MustCompile("(?m)^\\| `([A-Z0-9_]+)`: (\\w+) \\|")
	taken      = regexp.MustCompile(`(?m)^#ifn?def ([A-Z0-9_]+)`)
	unreached  = regexp.MustCompile(`(?m)^\t\S+\.pml:\d+, state \d+, (.*)$`)
	firstError = regexp.MustCompile(`(?m)^pan:1: .*`)
)

// README.md's commands, and its table: with every rule spin finishes its search and
// finds nothing, without one of them it finds the error that is named there.
func TestModels(t *testing.T) {
	for _, program := range []string{"spin", "gcc"} {
		if _, err := exec.LookPath(program); err != nil {
			const missing = "no spin or gcc found: install them (apt-get install spin gcc)"
			if os.Getenv("HOPSEAL_MODEL_TESTS") == "require" {
				t.Fatal(missing)
			}
			t.Skip(missing)
		}
	}
	readme := read(t, models+"/README.md")
	commands := blocks(readme, "sh")
	if len(commands) != 1 {
		t.Fatalf("README.md has %d blocks of commands", len(commands))
	}
	t.Run("README", func(t *testing.T) { t.Parallel(); runCommands(t, commands[0]) })

	for _, model := range modelNames {
		_, section, _ := strings.Cut(readme, "## "+model+".pml")
		section, _, _ = strings.Cut(section, "\n## ")
		named := make(map[string]string)
		for _, m := range rule.FindAllStringSubmatch(section, -1) {
			named[m[1]] = m[2]
		}
		checkNames(t, model, slices.Sorted(maps.Keys(named)))
		for name, kind := range named {
			t.Run(model+"/"+name, func(t *testing.T) {
				t.Parallel()
				out := spin(t, model, "-D"+name)
				if first := firstError.FindString(out); broken[kind] == nil || !broken[kind].MatchString(first) {
					t.Errorf("want %s, spin says %q\n%s", kind, first, out)
				}
			})
		}
	}
	if os.Getenv("HOPSEAL_LONG_TESTS") != "" {
		for _, larger := range [][2]string{{"delivery", "-DWINDOW=2"}, {"delivery", "-DWIDTH=2"}, {"session", "-DM=2"}, {"close", "-DWIDTH=2"}} {
			t.Run(larger[0]+larger[1], func(t *testing.T) { mustFinish(t, spin(t, larger[0], larger[1])) })
		}
	}
}

// Every rule that a model can go without is in the table, and no other.
func checkNames(t *testing.T, model string, named []string) {
	var have []string
	for _, m := range taken.FindAllStringSubmatch(read(t, models+"/"+model+".pml"), -1) {
		if bounds := []string{"K", "M", "N", "PIECES", "WINDOW", "WIDTH"}; !slices.Contains(bounds, m[1]) {
			have = append(have, m[1])
		}
	}
	slices.Sort(have)
	if have = slices.Compact(have); len(have) == 0 || !slices.Equal(have, named) {
		t.Errorf("%s.pml can go without %v, README.md names %v", model, have, named)
	}
}

// runCommands runs the lines of a block, one after the other, in one folder: spin
// finds nothing where the line does not announce it.
func runCommands(t *testing.T, block string) {
	dir := copied(t)
	for _, line := range strings.Split(strings.TrimSpace(block), "\n") {
		out := run(t, dir, line)
		switch {
		case strings.HasPrefix(line, "spin -t"):
			if !strings.Contains(out, "the assertion failed") && !strings.Contains(out, "assertion violated") {
				t.Errorf("%s: shows no way to an error:\n%s", line, out)
			}
		case strings.Contains(line, "# errors: 1"):
			if !strings.Contains(out, "errors: 1") {
				t.Errorf("%s:\n%s", line, out)
			}
		default:
			mustFinish(t, out)
		}
	}
}

// mustFinish fails unless out is that of a search that saw every state, and every
// line of the model, and no error.
func mustFinish(t *testing.T, out string) {
	t.Helper()
	for _, want := range []string{"Full statespace search for:", "errors: 0", "unreached in proctype"} {
		if !strings.Contains(out, want) {
			t.Errorf("spin does not say %q", want)
		}
	}
	for _, cut := range []string{"Search not completed", "max search depth too small", "Bit statespace", "Hash-Compact", "out of memory", "pan:1:"} {
		if strings.Contains(out, cut) {
			t.Errorf("spin says %q", cut)
		}
	}
	for _, m := range unreached.FindAllStringSubmatch(out, -1) {
		if m[1] != `"-end-"` { // a watcher has no end
			t.Errorf("spin never reaches %s", m[1])
		}
	}
	if t.Failed() {
		t.Log(out)
	}
}

// spin searches a model with definitions of its own.
func spin(t *testing.T, model string, definitions ...string) string {
	return run(t, copied(t), "spin -a "+strings.Join(definitions, " ")+" "+model+".pml && gcc -DSAFETY -o pan pan.c && ./pan -m20000 -w20")
}

// copied returns a folder with the models in it: spin writes where it runs.
func copied(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for _, model := range modelNames {
		name := model + ".pml"
		if err := os.WriteFile(filepath.Join(dir, name), []byte(read(t, models+"/"+name)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func run(t *testing.T, dir, command string) string {
	t.Helper()
	c := exec.Command("sh", "-c", command)
	c.Dir = dir
	out, err := c.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", command, err, out)
	}
	return string(out)
}
