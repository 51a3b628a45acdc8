//go:build !js

package main

import (
	"encoding/base64"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf16"
)

// Standard output is asked for by name too, as other tools have it.
func TestExportToStandardOutput(t *testing.T) {
	w := newWorld(t)
	w.store("alice")
	plain := w.key("export")
	if named := w.key("export", "-o", "-"); named != plain {
		t.Errorf("%q, want %q", named, plain)
	}
	raw := w.key("export", "-raw", "-o", "-")
	if text := base64.StdEncoding.EncodeToString([]byte(raw)); text != strings.TrimSpace(plain) {
		t.Errorf("%q, want %q", text, plain)
	}
	if _, err := os.Lstat("-"); err == nil {
		t.Error("a file of that name was made")
	}
}

// Editors put a byte order mark in front of a passphrase, which then is another one.
func TestPassphraseWithAByteOrderMark(t *testing.T) {
	wide := make([]byte, 0, 64)
	for _, u := range utf16.Encode([]rune("\ufeffcorrect horse battery staple")) {
		wide = append(wide, byte(u), byte(u>>8))
	}
	swapped := make([]byte, len(wide))
	for i := range wide {
		swapped[i^1] = wide[i]
	}
	for name, content := range map[string]string{
		"UTF-8": "\xef\xbb\xbfcorrect horse battery staple\n", "UTF-16LE": string(wide), "UTF-16BE": string(swapped),
	} {
		_, err := readPassphrase(strings.NewReader(content), envPassphraseFile)
		if err == nil || !strings.Contains(err.Error(), "byte order mark") || strings.Contains(err.Error(), "horse") {
			t.Errorf("%s: %v", name, err)
		}
	}
	random := "\xff\xfe\x01\x80\x93\x04"
	if p, err := readPassphrase(strings.NewReader(random), envPassphraseFile); err != nil || string(p) != random {
		t.Errorf("random bytes: %q, %v", p, err)
	}
}

// The secrets of TLS go to a file that is for them, and to no other.
func TestKeyLogTakesNoOtherFile(t *testing.T) {
	w := newWorld(t)
	server := httptest.NewTLSServer(nil)
	defer server.Close()
	w.write("notes", "precious\n")
	w.write("open.log", "")
	if err := os.Chmod("open.log", 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("notes", "link"); err != nil {
		t.Fatal(err)
	}
	for path, why := range map[string]string{
		"notes": "something else", "open.log": "other users", "link": "not a regular file", ".": "not a regular file",
		filepath.Join("none", "file"): "no such file",
	} {
		out, errs, code := w.run("doctor", "-insecure-skip-tls-verify", "-insecure-key-log", path, server.URL)
		if code == 0 || !strings.Contains(errs, why) {
			t.Errorf("%s: %d, %s%s", path, code, out, errs)
		}
	}
	if w.read("notes") != "precious\n" || w.read("open.log") != "" {
		t.Error("a file was written to")
	}
	for range 2 { // the second time it is its own
		if _, errs, _ := w.run("doctor", "-insecure-skip-tls-verify", "-insecure-key-log", "keys.log", server.URL); strings.Contains(errs, "-insecure-key-log: ") {
			t.Error(errs)
		}
	}
	if log := w.read("keys.log"); strings.Count(log, "CLIENT_HANDSHAKE_TRAFFIC_SECRET") < 2 {
		t.Errorf("%q", log)
	}
}
