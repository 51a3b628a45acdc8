//go:build !js

package main

import (
	"bytes"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/json"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tink-crypto/tink-go/v2/tink"

	"github.com/hopseal/hopseal/internal/leak"
	"github.com/hopseal/hopseal/keys/keystore"
)

// Argon2 takes its time, so most tests unlock their stores by a key service, which
// also proves the hook for one.
func TestMain(m *testing.M) {
	kmsSecret = func(_ context.Context, uri string) (keystore.Secret, error) { return keystore.KMS(fakeKMS{}, uri), nil }
	leak.Main(m, func() { os.RemoveAll(builtIn) })
}

const testKMSKey = "test://key"

// fakeKMS wraps keys under one that is fixed.
type fakeKMS struct{}

func (fakeKMS) Supported(uri string) bool           { return strings.HasPrefix(uri, "test://") }
func (f fakeKMS) GetAEAD(string) (tink.AEAD, error) { return f, nil }
func (f fakeKMS) Encrypt(plain, ad []byte) ([]byte, error) {
	nonce := make([]byte, 12)
	rand.Read(nonce)
	return f.aead().Seal(nonce, nonce, plain, ad), nil
}

func (f fakeKMS) Decrypt(b, ad []byte) ([]byte, error) {
	if len(b) < 12 {
		return nil, errors.New("too short")
	}
	return f.aead().Open(nil, b[:12], b[12:], ad)
}

func (fakeKMS) aead() cipher.AEAD {
	block, _ := aes.NewCipher(make([]byte, 32))
	aead, _ := cipher.NewGCM(block)
	return aead
}

// A world is a folder, an environment and a person at the terminal, if one sits
// there.
type world struct {
	t      *testing.T
	dir    string
	env    map[string]string
	stdin  string
	person *person
}

func newWorld(t *testing.T) *world {
	dir := t.TempDir()
	t.Chdir(dir)
	return &world{t: t, dir: dir, env: map[string]string{envKMSKey: testKMSKey, envStore: "alice.store"}}
}

// person answers what is asked, in order.
type person struct {
	answers []string
	asked   []string
}

func (p *person) attended() bool { return p != nil }
func (p *person) watched() bool  { return p != nil }

func (p *person) line(_ context.Context, prompt string) (string, error) {
	p.asked = append(p.asked, prompt)
	if len(p.answers) == 0 {
		return "", errors.New("nobody answers")
	}
	answer := p.answers[0]
	p.answers = p.answers[1:]
	return answer, nil
}

func (p *person) password(ctx context.Context, prompt string) ([]byte, error) {
	s, err := p.line(ctx, prompt)
	return []byte(s), err
}

func (w *world) run(args ...string) (stdout, stderr string, code int) {
	var out, errs bytes.Buffer
	env := maps.Clone(w.env)
	code = run(w.t.Context(), system{
		stdin: strings.NewReader(w.stdin), stdout: &out, stderr: &errs, console: w.person,
		getenv: func(name string) string { return env[name] },
	}, args)
	return out.String(), errs.String(), code
}

// key runs a key command that must succeed and say nothing on standard error.
func (w *world) key(args ...string) string {
	w.t.Helper()
	out, errs, code := w.run(append([]string{"key"}, args...)...)
	if code != 0 || errs != "" && w.person == nil {
		w.t.Fatalf("%s: code %d: %s%s", strings.Join(args, " "), code, out, errs)
	}
	return out
}

// keyJSON is key with -json, decoded.
func keyJSON[T any](w *world, args ...string) T {
	w.t.Helper()
	var r T
	d := json.NewDecoder(strings.NewReader(w.key(append(args, "-json")...)))
	d.DisallowUnknownFields()
	if err := d.Decode(&r); err != nil {
		w.t.Fatalf("%s: %v", strings.Join(args, " "), err)
	}
	return r
}

// fails runs a command that must fail with one line that has the parts in it, say
// nothing on standard output and leave every file as it was. It returns the line.
func (w *world) fails(code int, part string, args ...string) string {
	w.t.Helper()
	return w.failsAs(code, part, append([]string{"key"}, args...)...)
}

// failsAs is fails for any command.
func (w *world) failsAs(code int, part string, args ...string) string {
	w.t.Helper()
	before := w.files()
	out, errs, got := w.run(args...)
	line := strings.TrimSuffix(errs, "\n")
	if got != code || out != "" || !strings.HasPrefix(line, "hopseal: ") || strings.Contains(line, "\n") || !strings.Contains(line, part) {
		w.t.Errorf("%s: code %d, want %d with %q:\n%s%s", strings.Join(args, " "), got, code, part, out, errs)
	}
	if after := w.files(); !maps.Equal(before, after) {
		w.t.Errorf("%s: the files changed: %v", strings.Join(args, " "), changedFiles(before, after))
	}
	return line
}

// files returns the content of every file but locks.
func (w *world) files() map[string]string {
	w.t.Helper()
	all := make(map[string]string)
	entries, err := os.ReadDir(w.dir)
	if err != nil {
		w.t.Fatal(err)
	}
	for _, e := range entries {
		if e.Type().IsRegular() && !strings.HasSuffix(e.Name(), ".lock") {
			all[e.Name()] = w.read(e.Name())
		}
	}
	return all
}

func changedFiles(before, after map[string]string) []string {
	var names []string
	for name := range after {
		if before[name] != after[name] {
			names = append(names, name)
		}
	}
	for name := range before {
		if _, there := after[name]; !there {
			names = append(names, name)
		}
	}
	return names
}

func (w *world) read(name string) string {
	w.t.Helper()
	b, err := os.ReadFile(filepath.Join(w.dir, name))
	if err != nil {
		w.t.Fatal(err)
	}
	return string(b)
}

func (w *world) write(name, content string) string {
	w.t.Helper()
	if err := os.WriteFile(filepath.Join(w.dir, name), []byte(content), 0o600); err != nil {
		w.t.Fatal(err)
	}
	return name
}

// store makes a store and the file with its public identity, and returns the
// fingerprint.
func (w *world) store(name string) string {
	w.t.Helper()
	r := keyJSON[newResult](w, "new", "-store", name+".store", "-name", name)
	w.key("export", "-store", name+".store", "-o", name+".pub")
	return r.Fingerprint
}

// pick returns the number of a key of the store at that stage.
func (w *world) pick(stage, use string, more ...string) string {
	w.t.Helper()
	r := keyJSON[showResult](w, append([]string{"show"}, more...)...)
	for _, k := range r.Keys {
		if k.Stage == stage && k.Use == use {
			b, _ := json.Marshal(k.Key)
			return string(b)
		}
	}
	w.t.Fatalf("no %s key is %s: %+v", use, stage, r.Keys)
	return ""
}
