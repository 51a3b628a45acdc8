//go:build !js

package wasmbuild

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestASlimProgramRunsAsBefore runs a program that needs everything which stays: it grows stacks,
// collects garbage while functions wait, panics, recovers, and asks for a traceback.
func TestASlimProgramRunsAsBefore(t *testing.T) {
	node, err := exec.LookPath("node")
	if err != nil {
		t.Skip("no node")
	}
	dir := t.TempDir()
	whole, thin := filepath.Join(dir, "whole.wasm"), filepath.Join(dir, "thin.wasm")
	args := append(append([]string{"build", "-o", whole}, buildArgs...), "./testdata/hard")
	if _, err := goCommand(t.Context(), args...); err != nil {
		t.Fatal(err)
	}
	b, version := read(t, dir, "whole.wasm"), goVersion(t)
	slimmed, err := slim(b, version)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(thin, slimmed, 0o644); err != nil {
		t.Fatal(err)
	}
	root, err := goCommand(t.Context(), "env", "GOROOT")
	if err != nil {
		t.Fatal(err)
	}
	runner := filepath.Join(strings.TrimSpace(string(root)), "lib", "wasm", "wasm_exec_node.js")
	for _, program := range []string{whole, thin} {
		cmd := exec.CommandContext(t.Context(), node, "--stack-size=8192", runner, program)
		cmd.Env = []string{} // wasm_exec.js takes few bytes of environment
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%s: %v\n%s", filepath.Base(program), err, out)
		}
		if !bytes.HasSuffix(out, []byte("everything works\n")) {
			t.Errorf("%s says\n%s", filepath.Base(program), out)
		}
	}
	if bytes.Contains(slimmed, []byte("main.deep")) || !bytes.Contains(b, []byte("main.deep")) {
		t.Error("names of functions are still there")
	}
}

func goVersion(t *testing.T) string {
	t.Helper()
	version, err := goCommand(t.Context(), "env", "GOVERSION")
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(version))
}

// TestSlimRefusesWhatItDoesNotKnow changes one thing at a time in a core.
func TestSlimRefusesWhatItDoesNotKnow(t *testing.T) {
	dir := t.TempDir()
	args := append(append([]string{"build", "-o", filepath.Join(dir, "hard.wasm")}, buildArgs...), "./testdata/hard")
	if _, err := goCommand(t.Context(), args...); err != nil {
		t.Fatal(err)
	}
	core, version := read(t, dir, "hard.wasm"), goVersion(t)
	sections, err := parseModule(core)
	if err != nil {
		t.Fatal(err)
	}
	data := slices.IndexFunc(sections, func(s section) bool { return s.id == dataSection })
	memory, err := parseData(sections[data].body)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := parseData(writeData(memory)); err != nil || !bytes.Equal(bytes.TrimRight(again, "\x00"), bytes.TrimRight(memory, "\x00")) {
		t.Errorf("segments that are written fill another memory: %v", err)
	}
	if _, err := slim(core, "go1.99.1"); err == nil || !strings.Contains(err.Error(), "go1.99.1") {
		t.Errorf("an unknown release is taken: %v", err)
	}
	for _, n := range []int{0, 7, 8, 20, len(core) / 2, len(core) - 1} {
		if _, err := slim(core[:n], version); err == nil {
			t.Errorf("%d bytes of a module are taken", n)
		}
	}
	at := bytes.Index(memory, []byte(pclntabMagic))
	for name, offset := range map[string]int{
		"magic": 0, "size of pointers": 7, "count of functions": 8, "offset of names": 33, "offset of tables": 57, "offset of the list": 65,
	} {
		broken := bytes.Clone(memory)
		broken[at+offset]++
		if err := slimMemory(broken); err == nil {
			t.Errorf("another %s is taken", name)
		}
	}
	s, err := findSymbols(memory)
	if err != nil {
		t.Fatal(err)
	}
	for name, word := range map[string]int{
		"entry": entryWord, "name": nameWord, "table of stacks": stackWord, "count of tables": placesWord, "count of data": flagsWord,
	} {
		f := s.list[len(s.list)/2]
		old := f.word(word)
		f.set(word, old+0x50000001)
		if err := slimMemory(bytes.Clone(memory)); err == nil {
			t.Errorf("a function with another %s is taken", name)
		}
		f.set(word, old)
	}
	s.finder[bucketSize*40]++
	if err := slimMemory(memory); err == nil {
		t.Error("another finder is taken")
	}
}

// TestTheTableOfP256GoesWhereNothingReadsIt builds a program that uses X25519, and one that makes
// keys of P-256.
func TestTheTableOfP256GoesWhereNothingReadsIt(t *testing.T) {
	dir, version := t.TempDir(), goVersion(t)
	for curve, want := range map[string]string{"X25519": "", "P256": "the use of P-256"} {
		source := `package main

import (
	"crypto/ecdh"
	"crypto/rand"
)

func main() {
	key, err := ecdh.` + curve + `().GenerateKey(rand.Reader)
	println(key, err)
}
`
		file := filepath.Join(dir, "main.go")
		if err := os.WriteFile(file, []byte(source), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := goCommand(t.Context(), append(append([]string{"build", "-o", filepath.Join(dir, "main.wasm")}, buildArgs...), file)...); err != nil {
			t.Fatal(err)
		}
		core := read(t, dir, "main.wasm")
		slimmed, err := slim(core, version)
		if want != "" {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: got %v", curve, err)
			}
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Contains(core, []byte(p256Start)) || bytes.Contains(slimmed, []byte(p256Start)) {
			t.Errorf("%s: the table was not there, or it still is", curve)
		}
	}
}
