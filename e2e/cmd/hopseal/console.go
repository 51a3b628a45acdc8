//go:build !js

package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"golang.org/x/term"
)

func operatingSystem() system {
	return system{stdin: os.Stdin, stdout: os.Stdout, stderr: os.Stderr, getenv: os.Getenv, console: terminal{}}
}

// terminal asks on standard error and reads from standard input.
type terminal struct{}

func (terminal) attended() bool { return isTerminal(os.Stdin) && isTerminal(os.Stderr) }
func (terminal) watched() bool  { return isTerminal(os.Stderr) }

func isTerminal(f *os.File) bool { return term.IsTerminal(int(f.Fd())) }

// password reads a line without showing it. An interrupt leaves the terminal as it
// was.
func (terminal) password(ctx context.Context, prompt string) ([]byte, error) {
	fd := int(os.Stdin.Fd())
	before, err := term.GetState(fd)
	if err != nil {
		return nil, err
	}
	fmt.Fprint(os.Stderr, prompt)
	defer fmt.Fprintln(os.Stderr)
	p, err := interruptible(ctx, func() ([]byte, error) { return term.ReadPassword(fd) })
	return p, errors.Join(err, term.Restore(fd, before))
}

func (terminal) line(ctx context.Context, prompt string) (string, error) {
	fmt.Fprint(os.Stderr, prompt)
	return interruptible(ctx, func() (string, error) {
		s, err := bufio.NewReader(os.Stdin).ReadString('\n')
		return strings.TrimSpace(s), err
	})
}

// trimNewline takes off the line end that editors and echo leave in a file.
func trimNewline(b []byte) []byte {
	return bytes.TrimSuffix(bytes.TrimSuffix(b, []byte("\n")), []byte("\r"))
}
