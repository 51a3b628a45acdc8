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

// A console is where a person sits, if one does.
type console interface {
	attended() bool // somebody can be asked
	watched() bool  // somebody sees what goes on
	password(ctx context.Context, prompt string) ([]byte, error)
	line(ctx context.Context, prompt string) (string, error)
}

func operatingSystem() system {
	return system{stdin: os.Stdin, stdout: os.Stdout, stderr: os.Stderr, getenv: os.Getenv, console: terminal{}}
}

// terminal asks on standard error and reads from standard input.
type terminal struct{}

func (terminal) attended() bool { return isTerminal(os.Stdin) && isTerminal(os.Stderr) }
func (terminal) watched() bool  { return isTerminal(os.Stderr) }

func isTerminal(f *os.File) bool { return term.IsTerminal(int(f.Fd())) }

var errInterrupted = errors.New("interrupted: nothing was changed")

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

// interruptible gives up on a read that cannot be ended. The process ends soon
// after.
func interruptible[T any](ctx context.Context, read func() (T, error)) (T, error) {
	type result struct {
		value T
		err   error
	}
	done := make(chan result, 1)
	go func() {
		value, err := read()
		done <- result{value, err}
	}()
	select {
	case <-ctx.Done():
		var none T
		return none, errInterrupted
	case r := <-done:
		return r.value, r.err
	}
}

// trimNewline takes off the line end that editors and echo leave in a file.
func trimNewline(b []byte) []byte {
	return bytes.TrimSuffix(bytes.TrimSuffix(b, []byte("\n")), []byte("\r"))
}
