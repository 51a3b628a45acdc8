//go:build !js

package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// openTerminal returns the two ends of a pseudo-terminal: what the person has in
// hand, and what the program runs on.
func openTerminal(t *testing.T) (person, program *os.File) {
	t.Helper()
	person, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Skipf("no pseudo-terminals here: %v", err)
	}
	t.Cleanup(func() { person.Close() })
	if err := unix.IoctlSetPointerInt(int(person.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	number, err := unix.IoctlGetInt(int(person.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	program, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { program.Close() })
	size := unix.Winsize{Row: 50, Col: 200}
	if err := unix.IoctlSetWinsize(int(program.Fd()), unix.TIOCSWINSZ, &size); err != nil {
		t.Fatal(err)
	}
	return person, program
}

// On a terminal the passphrase is asked for twice and never shown; then lines are
// edited, and Ctrl-C ends the client and leaves the terminal as it was.
func TestTerminal(t *testing.T) {
	w := startRelay(t)
	person, program := openTerminal(t)
	before := settings(t, program)
	file := filepath.Join(t.TempDir(), "anna.key")
	u, hangUp := sitsAt(t, person, program, "join", "-name", "anna", "-room", "lobby", "-identity", file, w.url)
	u.shows("New passphrase for " + file + ": ")
	u.presses(testPassphrase + "\r")
	u.shows("The same once more: ")
	u.presses(testPassphrase + "\r")
	u.shows("in room lobby, 0 other members")
	bob := joins(t, w.url, "bob")
	u.shows("bob is here, not admitted")
	u.presses("/admit bobx\x7f\r") // one too many, taken back
	u.shows("bob is admitted")
	u.presses("hello\r")
	bob.sees("anna wrote")
	bob.admits(u.user)
	bob.sees("anna: hello")
	u.presses("half a line\x03")
	if code := <-u.code; code != 0 {
		t.Errorf("Ctrl-C ended with %d", code)
	}
	bob.sees("anna left")
	if after := settings(t, program); after != before {
		t.Errorf("the terminal is left as %+v, was %+v", after, before)
	}
	hangUp()
	if strings.Contains(u.out.String(), "horse") {
		t.Errorf("the passphrase was shown:\n%s", u.out)
	}
}

func TestPassphrasesThatDiffer(t *testing.T) {
	for again, want := range map[string]string{
		"wrong horse": "the two passphrases differ: try again",
		"":            "an empty passphrase protects nothing: try again",
	} {
		person, program := openTerminal(t)
		file := filepath.Join(t.TempDir(), "anna.key")
		u, hangUp := sitsAt(t, person, program, "join", "-name", "anna", "-room", "lobby", "-identity", file, "http://127.0.0.1:1")
		u.shows("New passphrase")
		u.presses(testPassphrase + "\r")
		u.shows("once more")
		u.presses(again + "\r")
		u.shows("chat: " + want)
		if code := <-u.code; code != 1 {
			t.Errorf("ended with %d, want 1", code)
		}
		if _, err := os.Stat(file); err == nil {
			t.Error("a file was made")
		}
		hangUp()
	}
}

// A typist is a user at a terminal.
type typist struct {
	*user
	keyboard *os.File
}

// sitsAt runs the program on a terminal. hangUp closes it, and waits until
// everything was read.
func sitsAt(t *testing.T, person, program *os.File, args ...string) (u *typist, hangUp func()) {
	u = &typist{&user{t: t, name: "anna", out: newScreen(), errors: newScreen(), code: make(chan int, 1)}, person}
	copied := make(chan struct{})
	go func() { defer close(copied); io.Copy(u.out, person) }()
	go func() {
		u.code <- run(context.Background(), args, stdio{program, program, program, func(string) string { return "" }})
	}()
	return u, func() {
		program.Close()
		person.Close()
		<-copied
	}
}

func (u *typist) presses(keys string) {
	u.t.Helper()
	if _, err := u.keyboard.WriteString(keys); err != nil {
		u.t.Fatal(err)
	}
}

func settings(t *testing.T, terminal *os.File) unix.Termios {
	t.Helper()
	s, err := unix.IoctlGetTermios(int(terminal.Fd()), unix.TCGETS)
	if err != nil {
		t.Fatal(err)
	}
	return *s
}
