//go:build !js

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hopseal/hopseal/keys"
	"github.com/hopseal/hopseal/keys/keystore"
)

// distinct fails where two kinds of failure have one text.
type distinct map[string]string

func (d distinct) add(t *testing.T, kind, line string) {
	t.Helper()
	if other, taken := d[line]; taken {
		t.Errorf("%s and %s have one text: %s", kind, other, line)
	}
	d[line] = kind
}

// Every kind of store that cannot be used says so in its own words, with what to
// do, for reading and for writing, and stays as it is.
func TestBadStores(t *testing.T) {
	w := newWorld(t)
	w.store("alice")
	good := w.read("alice.store")
	cases := []struct {
		kind, part, content string
		mode                fs.FileMode
	}{
		{"empty", "restore it from a backup", "", 0o600},
		{"cut in the head", "restore it from a backup", good[:40], 0o600},
		{"cut in the body", "restore it from a backup", good[:len(good)-1], 0o600},
		{"longer", "restore it from a backup", good + "x", 0o600},
		{"flipped in the head", "restore it from a backup", flip(good, 3), 0o600},
		{"flipped in the salt", "another key than the store's", flip(good, strings.Index(good, testKMSKey)+len(testKMSKey)+2+60+10), 0o600},
		{"flipped in the body", "restore it from a backup", flip(good, len(good)-100), 0o600},
		{"a public identity", "restore it from a backup", w.read("alice.pub"), 0o600},
		{"foreign", "restore it from a backup", "-----BEGIN PRIVATE KEY-----\n", 0o600},
		{"open to others", "run chmod 600", good, 0o644},
		{"oversized", "at most 16 MiB", strings.Repeat("x", 16<<20+1), 0o600},
	}
	for _, c := range cases {
		w.write("bad.store", c.content)
		if err := os.Chmod("bad.store", c.mode); err != nil {
			t.Fatal(err)
		}
		t.Log(c.kind+":", w.fails(exitFailure, c.part, "show", "-store", "bad.store"))
		w.fails(exitFailure, c.part, "rotate", "-now", "-use", "signing", "-store", "bad.store")
	}
	if err := os.Chmod("bad.store", 0o600); err != nil {
		t.Fatal(err)
	}
	d := distinct{}
	if err := os.Mkdir("folder.store", 0o700); err != nil {
		t.Fatal(err)
	}
	d.add(t, "folder", w.fails(exitFailure, "expected a regular file", "show", "-store", "folder.store"))
	d.add(t, "missing", w.fails(exitFailure, "make one with 'hopseal key new", "show", "-store", "missing.store"))
	d.add(t, "damaged", w.fails(exitFailure, "restore it from a backup", "show", "-store", w.write("bad.store", flip(good, len(good)-1))))
	w.env[envKMSKey] = "test://other"
	d.add(t, "another KMS key", w.fails(exitFailure, "the key is the one the store was made with", "show"))
	w.env[envKMSKey] = "elsewhere://key"
	d.add(t, "unsupported KMS key", w.fails(exitFailure, "does not support", "new", "-name", "x", "-store", "x.store"))
	delete(w.env, envKMSKey)
	d.add(t, "nobody to ask", w.fails(exitFailure, "there is no terminal", "show"))
	w.env[envPassphrase] = "seven words that are not the ones"
	d.add(t, "a passphrase for a KMS store", w.fails(exitFailure, "wants its KMS key", "show"))
}

func flip(s string, at int) string {
	b := []byte(s)
	b[at] ^= 1
	return string(b)
}

// Passphrases from every source, right and wrong. Argon2 takes its real time here.
func TestPassphrases(t *testing.T) {
	w := newWorld(t)
	delete(w.env, envKMSKey)
	const right = "plenty of other words in one long line"
	d := distinct{}
	w.env[envPassphrase] = "password1"
	d.add(t, "weak", w.fails(exitFailure, "choose five or more random words", "new", "-name", "alice"))
	w.env[envPassphrase] = right
	w.key("new", "-name", "alice")
	w.env[envPassphrase] = "wrong"
	line := w.fails(exitFailure, "wrong passphrase: try again", "rotate", "-now", "-use", "signing")
	d.add(t, "wrong", line)
	delete(w.env, envPassphrase)

	w.env[envPassphraseFile] = w.write("passphrase", right+"\r\n")
	w.key("fingerprint")
	if err := os.Chmod("passphrase", 0o640); err != nil {
		t.Fatal(err)
	}
	d.add(t, "open to others", w.fails(exitFailure, "run chmod 600", "fingerprint"))
	w.env[envPassphraseFile] = w.write("empty", "\n")
	d.add(t, "empty", w.fails(exitFailure, "the passphrase is empty", "fingerprint"))
	w.env[envPassphraseFile] = w.write("long", strings.Repeat("x", maxPassphrase+1))
	d.add(t, "too long", w.fails(exitFailure, "that is no passphrase", "fingerprint"))
	w.env[envPassphraseFile] = "missing"
	d.add(t, "missing", w.fails(exitFailure, "let it name another", "fingerprint"))
	w.env[envPassphraseFile] = w.dir
	d.add(t, "a folder", w.fails(exitFailure, "let it name a file", "fingerprint"))
	delete(w.env, envPassphraseFile)

	r, writer, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprint(writer, right)
	writer.Close()
	w.env[envPassphraseFD] = fmt.Sprint(r.Fd())
	w.key("fingerprint")
	r.Close() // closed by the command; this only tells the runtime
	for _, fd := range []string{"three", "-1", "60001"} {
		w.env[envPassphraseFD] = fd
		w.fails(exitFailure, envPassphraseFD, "fingerprint")
	}
	delete(w.env, envPassphraseFD)

	w.person = &person{answers: []string{right}}
	if out, errs, code := w.run("key", "fingerprint"); code != 0 || !strings.Contains(errs, "unlocking alice.store…") || strings.Contains(out+errs, right) {
		t.Error(code, out, errs)
	}
	w.person = &person{answers: []string{right, right + "!"}}
	if _, errs, code := w.run("key", "new", "-name", "bob", "-store", "bob.store"); code != exitFailure || !strings.Contains(errs, "the passphrases differ") {
		t.Error(code, errs)
	}
	if _, err := os.Stat("bob.store"); err == nil {
		t.Error("a store was made")
	}
	w.person = &person{answers: []string{right, right}}
	if _, errs, code := w.run("key", "new", "-name", "bob", "-store", "bob.store"); code != 0 || len(w.person.asked) != 2 {
		t.Error(code, errs)
	}
}

func TestKMSNeedsAClient(t *testing.T) {
	w := newWorld(t)
	hook := kmsSecret
	defer func() { kmsSecret = hook }()
	kmsSecret = nil
	w.fails(exitFailure, "reaches no key management service", "new", "-name", "alice")
}

// A20: who else writes is named, and reading goes on.
func TestA20StoreInUse(t *testing.T) {
	w := newWorld(t)
	w.store("alice")
	s, err := keystore.Open(t.Context(), "alice.store", keystore.KMS(fakeKMS{}, testKMSKey))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	w.fails(exitFailure, fmt.Sprintf("held by process %d on ", os.Getpid()), "rotate")
	w.fails(exitFailure, "in use", "new", "-shared", "orders")
	w.key("show")
	w.key("export")
}

func TestBadPublicIdentities(t *testing.T) {
	w := newWorld(t)
	w.store("alice")
	bob := w.store("bob")
	w.key("new", "-shared", "orders")
	w.key("export", "-store", "bob.store", "-raw", "-o", "raw")
	good, raw := w.read("bob.pub"), w.read("raw")
	for _, c := range []struct{ kind, part, file string }{
		{"missing", "check the name", "missing"},
		{"empty", "ask for it again", w.write("empty", " \n")},
		{"cut", "damaged, cut short", w.write("cut", good[:len(good)-6])},
		{"cut raw", "damaged, cut short", w.write("cut-raw", raw[:len(raw)-1])},
		{"flipped", "damaged, cut short", w.write("flipped", flip(raw, len(raw)/2))},
		{"flipped name", "damaged, cut short", w.write("flipped-name", strings.Replace(raw, "bob", "rob", 1))},
		{"longer", "damaged, cut short", w.write("longer", raw+"x")},
		{"not canonical", "damaged, cut short", w.write("base64url", strings.NewReplacer("+", "-", "/", "_", "=", "").Replace(good))},
		{"oversized", "check the name", w.write("large", strings.Repeat("A", maxPublicText+1))},
		{"a store", "it is a store", "bob.store"},
		{"a backup", "with secret keys", w.write("backup", w.key("export", "-insecure-cleartext"))},
		{"sealed", "sealed shared keyset", w.write("sealed", w.key("export", "-shared", "orders", "-to", "bob.pub", "-fingerprint", bob))},
		{"succession", "it is a succession", w.write("succession", w.key("succeed", "bob.store"))},
		{"foreign", "private key of another program", w.write("pem", "-----BEGIN PRIVATE KEY-----\n")},
		{"foreign text", "something else", w.write("text", "hello")},
		{"a folder", "can be read", "."},
	} {
		w.fails(exitFailure, c.part, "fingerprint", c.file)
		if c.kind != "succession" {
			w.fails(exitFailure, "", "import", c.file, "-client", "-fingerprint", bob)
		}
	}
}

// Statements that were good once, or are about somebody else, each say what is
// wrong.
func TestStatementsThatDoNotCount(t *testing.T) {
	w := newWorld(t)
	w.store("alice")
	bob, eve := w.store("bob"), w.store("eve")
	d := distinct{}

	synctest.Test(t, func(t *testing.T) { // long ago
		id, err := keys.GenerateIdentity("old")
		if err != nil {
			t.Fatal(err)
		}
		w.write("expired.pub", string(id.Public().Bytes()))
	})
	d.add(t, "expired", w.fails(exitFailure, "its owner has to renew it", "import", "expired.pub", "-client", "-fingerprint", w.fingerprint("expired.pub")))

	w.key("import", "bob.pub", "-address", "wss://bob.example", "-fingerprint", bob)
	w.key("rotate", "-store", "bob.store", "-use", "signing", "-now")
	w.key("export", "-store", "bob.store", "-o", "bob2.pub")
	w.key("import", "bob2.pub", "-address", "wss://bob.example", "-fingerprint", bob)
	d.add(t, "rolled back", w.fails(exitFailure, "an older copy was presented", "import", "bob.pub", "-address", "wss://bob.example", "-fingerprint", bob))

	w.forked("bob")
	w.key("import", "fork1.pub", "-address", "wss://bob.example", "-fingerprint", bob)
	d.add(t, "re-signed", w.fails(exitFailure, "somebody may be in the middle", "import", "fork2.pub", "-address", "wss://bob.example", "-fingerprint", bob))

	w.write("revocation", w.key("revoke", "-store", "bob.store", "-prepare"))
	w.key("import", "revocation")
	d.add(t, "revoked", w.fails(exitFailure, "its owner has withdrawn it", "import", "bob2.pub", "-address", "wss://bob.example", "-fingerprint", bob))

	d.add(t, "another one", w.fails(exitFailure, "not the one that you gave", "import", "eve.pub", "-client", "-fingerprint", bob))
	d.add(t, "not a fingerprint", w.fails(exitFailure, "not a fingerprint", "import", "eve.pub", "-client", "-fingerprint", "fp1"))
	d.add(t, "unknown predecessor", w.fails(exitFailure, "is unknown", "import", w.write("succession", w.key("succeed", "-store", "eve.store", "alice.store"))))
	d.add(t, "its own as a peer", w.fails(exitFailure, "import it at the peer", "import", "alice.pub", "-client", "-fingerprint", w.fingerprint("alice.pub")))
	d.add(t, "its own", w.fails(exitFailure, "the store itself", "safety-number", "alice.pub"))
	for name, file := range map[string]string{"expired": "expired.pub", "revoked": "revocation"} {
		w.key("new", "-store", "alice.store", "-shared", name)
		w.fails(exitFailure, name, "export", "-shared", name, "-to", file, "-fingerprint", eve)
	}
}

// forked writes fork1.pub and fork2.pub: two statements of one root with one serial,
// as two clones of a store would sign them.
func (w *world) forked(name string) {
	w.t.Helper()
	w.write("fork.store", w.read(name+".store"))
	for range 20 { // serials follow the clock, unless it is behind them
		w.key("rotate", "-store", "fork.store", "-use", "signing", "-now")
		w.key("disable", "-store", "fork.store", w.pick("retiring", "signing", "-store", "fork.store"))
		w.key("destroy", "-store", "fork.store", w.pick("archived", "signing", "-store", "fork.store"))
	}
	base := w.read("fork.store")
	for i, use := range []string{"signing", "sealing"} {
		w.write("fork.store", base)
		w.key("rotate", "-store", "fork.store", "-use", use, "-now")
		w.key("export", "-store", "fork.store", "-o", fmt.Sprintf("fork%d.pub", i+1))
	}
	one, two := w.serial("fork1.pub"), w.serial("fork2.pub")
	if one != two || one < uint64(time.Now().Unix()) {
		w.t.Fatalf("serials %d and %d", one, two)
	}
}

func (w *world) serial(file string) uint64 {
	w.t.Helper()
	return keyJSON[fingerprintResult](w, "fingerprint", file).Serial
}

// Steps that a key's stage does not allow.
func TestStepsOutOfOrder(t *testing.T) {
	w := newWorld(t)
	w.store("alice")
	primary := w.pick("primary", "signing")
	for _, c := range []struct{ verb, key, part string }{
		{"promote", primary, "is primary: 'hopseal key show' tells the stages"},
		{"disable", primary, "is primary"},
		{"destroy", primary, "is primary"},
		{"promote", "1", "there is no key 1 here"},
		{"promote", "4294967296", "is not a key's number"},
		{"promote", "x", "is not a key's number"},
	} {
		w.fails(exitFailure, c.part, c.verb, c.key)
	}
	w.fails(exitFailure, "there is no key", "disable", "-use", "sealing", primary)
	w.fails(exitFailure, "no shared keyset", "rotate", "-shared", "orders", "-now")
	w.fails(exitFailure, "no shared keyset", "export", "-shared", "orders", "-to", "alice.pub", "-fingerprint", "x")
	w.key("new", "-shared", "orders")
	w.fails(exitFailure, "choose another name", "new", "-shared", "orders")
	w.fails(exitFailure, "exists already", "new", "-name", "alice")
	w.fails(exitFailure, "there is no folder", "new", "-name", "alice", "-store", filepath.Join("nowhere", "a.store"))
	w.fails(exitFailure, "1 to 128 bytes", "new", "-name", strings.Repeat("x", 129), "-store", "x.store")
}

func TestExplain(t *testing.T) {
	for _, c := range []struct {
		err  error
		want string
	}{
		{fmt.Errorf("keys: %w", &fs.PathError{Op: "open", Path: "a", Err: fs.ErrPermission}), "open a: permission denied: check who owns the file and its folder"},
		{fmt.Errorf("a.pub: %w: ask", keys.ErrPublicIdentity), "a.pub: not a valid public identity: ask"},
		{errors.Join(errors.New("one"), errors.New("two")), "one; two"},
	} {
		if got := explain(c.err); got != c.want {
			t.Errorf("%q, want %q", got, c.want)
		}
	}
}

// Whoever interrupts while a store is unlocked does not have it changed.
func TestInterruptWhileUnlocking(t *testing.T) {
	w := newWorld(t)
	delete(w.env, envKMSKey) // Argon2 cannot be interrupted
	w.env[envPassphrase] = "plenty of other words in one long line"
	w.key("new", "-name", "alice")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, args := range [][]string{{"rotate", "-now", "-use", "signing"}, {"show"}} {
		before := w.files()
		var out, errs bytes.Buffer
		code := run(ctx, system{stdin: strings.NewReader(""), stdout: &out, stderr: &errs, console: w.person,
			getenv: func(name string) string { return w.env[name] }}, append([]string{"key"}, args...))
		if code != exitFailure || !strings.Contains(errs.String(), "interrupted: nothing was changed") || out.Len() > 0 || len(changedFiles(before, w.files())) > 0 {
			t.Errorf("%v: %d %s%s", args, code, out.String(), errs.String())
		}
	}
}

// What cannot be written to standard output is an error.
func TestOutputThatFails(t *testing.T) {
	w := newWorld(t)
	w.store("alice")
	var errs bytes.Buffer
	code := run(t.Context(), system{stdin: strings.NewReader(""), stdout: failingWriter{}, stderr: &errs, console: w.person,
		getenv: func(name string) string { return w.env[name] }}, []string{"key", "export"})
	if code != exitFailure || !strings.Contains(errs.String(), "the output was not written") {
		t.Error(code, errs.String())
	}
}

type failingWriter struct{}

func (failingWriter) Write([]byte) (int, error) { return 0, fs.ErrClosed }

func FuzzParseBackup(f *testing.F) {
	f.Add(backupText([]byte("contents")))
	f.Add(backupText(bytes.Repeat([]byte("x"), 100)))
	f.Fuzz(func(t *testing.T, text string) {
		contents, err := parseBackup(text)
		if err == nil && backupText(contents) != text {
			t.Fatalf("%q is read, and written again as %q", text, backupText(contents))
		}
	})
}

func FuzzDecodeText(f *testing.F) {
	f.Add([]byte("AAAA\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		raw := decodeText(b)
		if !bytes.Equal(raw, b) && encodeText(raw) != string(bytes.TrimSpace(b)) {
			t.Fatalf("%q is read as %q", b, raw)
		}
		_ = otherFile(b)
	})
}
