//go:build !js

package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"sync"
	"testing"
)

const guide = "../../../docs/keys.md"

// built is the command, built once, with the service of the guide, in a folder that goes with the
// tests.
var builtIn string

var built = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "hopseal")
	if err != nil {
		return "", err
	}
	builtIn = dir
	for name, source := range map[string]string{"hopseal": ".", "billing": "./testdata/billing"} {
		if out, err := exec.Command("go", "build", "-o", filepath.Join(dir, name), source).CombinedOutput(); err != nil {
			return "", fmt.Errorf("%w: %s", err, out)
		}
	}
	script, err := os.ReadFile("testdata/systemctl")
	if err != nil {
		return "", err
	}
	return dir, os.WriteFile(filepath.Join(dir, "systemctl"), script, 0o700)
})

// binary returns the folder with the command.
func binary(t *testing.T) string {
	t.Helper()
	if _, err := exec.LookPath("go"); err != nil {
		t.Skip("needs the go command to build hopseal")
	}
	dir, err := built()
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// A machine of the guide: a folder and a shell in it.
type machine struct {
	in  io.Writer
	out *bufio.Reader
}

const doneMark = "@@done@@"

func startMachine(t *testing.T, bin, dir string) *machine {
	t.Helper()
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("sh")
	cmd.Dir = dir
	cmd.Env = []string{"PATH=" + bin + string(os.PathListSeparator) + os.Getenv("PATH"), "HOME=" + dir}
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stdout, cmd.Stderr = w, w
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	w.Close()
	t.Cleanup(func() {
		in.Close()
		io.Copy(io.Discard, r)
		r.Close()
		cmd.Wait()
	})
	return &machine{in, bufio.NewReader(r)}
}

// run returns what a command prints, and its exit code.
func (m *machine) run(t *testing.T, command string) (lines []string, code int) {
	t.Helper()
	fmt.Fprintf(m.in, "%s\necho %s $?\n", command, doneMark)
	for {
		line, err := m.out.ReadString('\n')
		if err != nil {
			t.Fatalf("%s: the shell ended: %v", command, err)
		}
		line = strings.TrimSuffix(line, "\n")
		if rest, done := strings.CutPrefix(line, doneMark+" "); done {
			fmt.Sscan(rest, &code)
			return lines, code
		}
		lines = append(lines, line)
	}
}

// What differs from run to run: fingerprints, numbers of keys and safety numbers,
// which must be the same wherever the guide has the same, and times and serials.
var (
	varying = regexp.MustCompile(`fp1[a-z2-7]{52}|\b\d{5}(?: \d{5}){11}\b|\bserial \d+|\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ|(?:\bkey |^) ?\d{2,10}\b`)
	free    = regexp.MustCompile(`^serial |T\d\d:`)
	named   = regexp.MustCompile(`fp1[a-z2-7]{52}|\b\d{6,10}\b`)
	blanks  = regexp.MustCompile(` +`)
)

// names maps what the guide shows to what is there in this run.
type names map[string]string

// learn compares a line of the guide with one of this run.
func (n names) learn(want, got string) error {
	want, got = strings.TrimSpace(blanks.ReplaceAllString(want, " ")), strings.TrimSpace(blanks.ReplaceAllString(got, " "))
	if varying.ReplaceAllString(want, "?") != varying.ReplaceAllString(got, "?") {
		return fmt.Errorf("the guide shows\n  %s\nand this run\n  %s", want, got)
	}
	there := varying.FindAllString(got, -1)
	for i, w := range varying.FindAllString(want, -1) {
		if free.MatchString(w) {
			continue
		}
		w, g := strings.TrimPrefix(w, "key "), strings.TrimPrefix(there[i], "key ")
		if before, known := n[w]; known && before != g {
			return fmt.Errorf("the guide calls two things %s: %s and %s", w, before, g)
		}
		n[w] = g
	}
	return nil
}

// command puts this run's names into a command of the guide.
func (n names) command(t *testing.T, text string) string {
	return named.ReplaceAllStringFunc(text, func(s string) string {
		there, known := n[s]
		if !known {
			t.Fatalf("%s: the guide uses %s before it shows it", text, s)
		}
		return there
	})
}

// runGuide runs the transcripts of a guide, each machine's commands in a folder of
// its own in dir. It returns the guide and how many commands it shows.
func runGuide(t *testing.T, guide, dir string) (text []byte, ran int) {
	if _, err := exec.LookPath("sh"); err != nil {
		t.Skip("needs a shell")
	}
	bin := binary(t)
	text, err := os.ReadFile(guide)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { endServices(dir) })
	machines := make(map[string]*machine)
	known := names{}
	prompt := regexp.MustCompile(`^(\w+)\$ (.*)$`)
	for _, block := range regexp.MustCompile("(?ms)^```sh\n(.*?)^```").FindAllSubmatch(text, -1) {
		lines := strings.Split(strings.TrimSuffix(string(block[1]), "\n"), "\n")
		for i := 0; i < len(lines); {
			m := prompt.FindStringSubmatch(lines[i])
			if m == nil {
				t.Fatalf("%q is printed by no command", lines[i])
			}
			i++
			var want []string
			for ; i < len(lines) && !prompt.MatchString(lines[i]); i++ {
				want = append(want, lines[i])
			}
			if machines[m[1]] == nil {
				machines[m[1]] = startMachine(t, bin, filepath.Join(dir, m[1]))
			}
			got, code := machines[m[1]].run(t, known.command(t, m[2]))
			ran++
			if len(got) != len(want) {
				t.Fatalf("%s\nthe guide shows\n  %s\nand this run\n  %s", m[0], strings.Join(want, "\n  "), strings.Join(got, "\n  "))
			}
			for i := range want {
				if err := known.learn(want[i], got[i]); err != nil {
					t.Fatalf("%s\n%v", m[0], err)
				}
			}
			if failed := len(want) > 0 && strings.HasPrefix(want[len(want)-1], "hopseal: "); failed != (code != 0) {
				t.Fatalf("%s: exit code %d", m[0], code)
			}
		}
	}
	return text, ran
}

// endServices ends those that a transcript has started, and not stopped since it failed.
func endServices(dir string) {
	files, _ := filepath.Glob(filepath.Join(dir, "*", "*.pid"))
	for _, name := range files {
		var pid int
		if b, err := os.ReadFile(name); err != nil || !scans(string(b), &pid) {
			continue
		}
		if p, err := os.FindProcess(pid); err == nil {
			p.Kill()
		}
	}
}

func scans(text string, to *int) bool { _, err := fmt.Sscan(text, to); return err == nil }

// The transcripts of the guide are what happens.
func TestGuide(t *testing.T) {
	text, ran := runGuide(t, guide, t.TempDir())
	if ran < 50 {
		t.Errorf("only %d commands were run", ran)
	}
	uses := make(map[string]bool)
	for _, m := range regexp.MustCompile(`hopseal key ([a-z-]+)`).FindAllSubmatch(text, -1) {
		uses[string(m[1])] = true
	}
	for _, c := range keyCommands.group {
		if !uses[c.name] {
			t.Errorf("the guide does not show %s", c.name)
		}
	}
}

// The guide names every field of every result, and every environment variable.
func TestGuideNamesEveryField(t *testing.T) {
	text, err := os.ReadFile(guide)
	if err != nil {
		t.Fatal(err)
	}
	rows := make(map[string]string)
	for _, m := range regexp.MustCompile(`(?m)^\| (.+?) \| (.+) \|$`).FindAllSubmatch(text, -1) {
		rows[string(m[1])] = string(m[2])
	}
	for row, r := range map[string]any{
		"all about an identity": identityResult{}, "`new`": newResult{}, "`show`": showResult{},
		"`rotate` `renew` `promote` `disable` `destroy`": changeResult{}, "`revoke`": revokeResult{}, "`succeed`": successionResult{},
		"`export`": exportResult{}, "`import` `forget`": importResult{}, "`fingerprint`": fingerprintResult{}, "`safety-number`": compareResult{},
	} {
		var want []string
		fieldsOf(reflect.TypeOf(r), row == "all about an identity", &want)
		documented := make(map[string]bool)
		for _, m := range regexp.MustCompile("`([a-z_]+)`").FindAllStringSubmatch(rows[row], -1) {
			documented[m[1]] = true
		}
		for _, name := range want {
			if !documented[name] {
				t.Errorf("%s: %s is not documented", row, name)
			}
			delete(documented, name)
		}
		for name := range documented {
			t.Errorf("%s: there is no %s", row, name)
		}
	}
	for _, name := range []string{envStore, envPassphraseFile, envPassphraseFD, envPassphrase, envKMSKey} {
		if rows["`"+name+"`"] == "" {
			t.Errorf("%s is not documented", name)
		}
	}
}

// fieldsOf lists the JSON names of a type, and of the lists in it, without those of
// an identity, which the guide tells once.
func fieldsOf(r reflect.Type, identity bool, out *[]string) {
	for i := range r.NumField() {
		f := r.Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		switch {
		case f.Type == reflect.TypeFor[identityResult]() && !identity:
		case f.Type == reflect.TypeFor[doneBy]():
			fieldsOf(f.Type, false, out)
		case name == "":
		default:
			*out = append(*out, name)
			if f.Type.Kind() == reflect.Slice && f.Type.Elem().Kind() == reflect.Struct {
				fieldsOf(f.Type.Elem(), false, out)
			}
		}
	}
}

// The command runs from the source, too, as the guide says.
func TestGoRun(t *testing.T) {
	binary(t)
	cmd := exec.Command("go", "run", "./e2e/cmd/hopseal", "key", "fingerprint", "-json", "-")
	repository, err := filepath.Abs("../../..")
	if err != nil {
		t.Fatal(err)
	}
	cmd.Dir = repository
	w := newWorld(t)
	w.store("alice")
	cmd.Stdin = strings.NewReader(w.read("alice.pub"))
	out, err := cmd.Output()
	var r fingerprintResult
	if err != nil || json.Unmarshal(out, &r) != nil || r.Name != "alice" {
		t.Errorf("%s %v", out, err)
	}
}
