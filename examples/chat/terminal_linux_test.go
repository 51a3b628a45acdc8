//go:build !js

package main

import (
	"context"
	"fmt"
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
	before, err := unix.IoctlGetTermios(int(program.Fd()), unix.TCGETS)
	if err != nil {
		t.Fatal(err)
	}
	u := &user{t: t, name: "anna", out: newScreen(), errors: newScreen(), code: make(chan int, 1)}
	copied := make(chan struct{})
	go func() { defer close(copied); u.out.copyFrom(person) }()
	file := filepath.Join(t.TempDir(), "anna.key")
	go func() {
		args := []string{"join", "-name", "anna", "-room", "lobby", "-identity", file, w.url}
		u.code <- run(context.Background(), args, stdio{program, program, program, func(string) string { return "" }})
	}()
	write := func(s string) {
		t.Helper()
		if _, err := person.WriteString(s); err != nil {
			t.Fatal(err)
		}
	}
	u.shows("New passphrase for " + file + ": ")
	write(testPassphrase + "\r")
	u.shows("The same once more: ")
	write(testPassphrase + "\r")
	u.shows("in room lobby, 0 other members")
	bob := joins(t, w.url, "bob")
	u.shows("bob is here, not admitted")
	write("/admit bobx\x7f\r") // one too many, taken back
	u.shows("bob is admitted")
	write("hello\r")
	bob.sees("anna wrote")
	bob.admits(u)
	bob.sees("anna: hello")
	write("half a line\x03")
	if code := <-u.code; code != 0 {
		t.Errorf("Ctrl-C ended with %d", code)
	}
	bob.sees("anna left")
	after, err := unix.IoctlGetTermios(int(program.Fd()), unix.TCGETS)
	if err != nil {
		t.Fatal(err)
	}
	if *after != *before {
		t.Errorf("the terminal is left as %+v, was %+v", after, before)
	}
	program.Close()
	person.Close()
	<-copied
	if strings.Contains(u.out.String(), "horse") {
		t.Errorf("the passphrase was shown:\n%s", u.out)
	}
}
