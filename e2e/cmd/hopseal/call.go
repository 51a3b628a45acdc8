//go:build !js

package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"strings"

	"github.com/hopseal/hopseal/internal/safetext"
	"github.com/hopseal/hopseal/keys/keystore"
)

// system is what the command uses of the operating system.
type system struct {
	stdin          io.Reader
	stdout, stderr io.Writer
	getenv         func(string) string
	console        console
}

// A command is one verb, or a group of them.
type command struct {
	name    string
	args    string // what follows the flags
	summary string
	run     func(context.Context, *call) error
	group   []command
}

const maxErrorText = 2000

// usageError says that flags or arguments are wrong.
type usageError struct{ text, help string }

func (e usageError) Error() string { return e.text + ": see '" + e.help + " -h'" }

// dispatch runs the command that args name. Path is the names before them.
func (c command) dispatch(ctx context.Context, sys system, path string, args []string) error {
	path = strings.TrimSpace(path + " " + c.name)
	if c.run != nil {
		return c.call(ctx, sys, path, args)
	}
	if len(args) == 0 {
		return usageError{"which command?", path}
	}
	for _, sub := range c.group {
		if sub.name == args[0] {
			return sub.dispatch(ctx, sys, path, args[1:])
		}
	}
	switch args[0] {
	case "help", "-h", "-help", "--help":
		c.help(sys.stdout, path)
		return nil
	}
	return usageError{fmt.Sprintf("there is no command %q", path+" "+args[0]), path}
}

func (c command) help(w io.Writer, path string) {
	fmt.Fprintf(w, "%s\n\n", c.summary)
	for _, sub := range c.group {
		fmt.Fprintf(w, "  %-44s %s\n", strings.TrimSpace(path+" "+sub.name+" "+sub.args), sub.summary)
	}
	fmt.Fprintf(w, "\n%s COMMAND -h tells more about each.\n", path)
}

func (c command) call(ctx context.Context, sys system, path string, args []string) error {
	inv := &call{system: sys, FlagSet: flag.NewFlagSet(path, flag.ContinueOnError), command: c, given: args}
	inv.SetOutput(io.Discard)
	inv.Usage = func() {}
	err := c.run(ctx, inv)
	if errors.Is(err, flag.ErrHelp) {
		inv.help(sys.stdout)
		return nil
	}
	return err
}

// A call is one run of a command. The command adds its flags, then calls parse.
type call struct {
	system
	*flag.FlagSet
	command command
	given   []string // not parsed yet
	args    []string // what is not a flag
	json    bool
	store   string
	fixed   keystore.Secret // what the environment gave
}

// parse reads flags and arguments, in any order, and checks the number of arguments.
func (c *call) parse(least, most int) error {
	c.BoolVar(&c.json, "json", false, "write one JSON object instead of text")
	for rest := c.given; ; rest = c.Args()[1:] {
		if err := c.Parse(rest); err != nil {
			if errors.Is(err, flag.ErrHelp) {
				return err
			}
			return c.wrong(err.Error())
		}
		if c.NArg() == 0 {
			break
		}
		c.args = append(c.args, c.Arg(0))
	}
	if n := len(c.args); n < least || n > most {
		want := c.command.args
		if want == "" {
			want = "none"
		}
		return c.wrong(fmt.Sprintf("%d arguments, want %s", n, want))
	}
	return nil
}

func (c *call) wrong(text string) error { return usageError{text, c.Name()} }

func (c *call) help(w io.Writer) {
	fmt.Fprintf(w, "%s\n\n  %s\n\n", c.command.summary, strings.TrimSpace(c.Name()+" [flags] "+c.command.args))
	c.SetOutput(w)
	c.PrintDefaults()
}

// A console is a terminal with a person at it, or none.
type console interface {
	attended() bool // a person can answer
	watched() bool  // a person sees the output
	password(ctx context.Context, prompt string) ([]byte, error)
	line(ctx context.Context, prompt string) (string, error)
}

var errInterrupted = errors.New("interrupted: nothing was changed")

// interruptible runs a read that cannot be cancelled, and stops to wait for it when ctx ends. The
// process ends soon after.
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

// interrupted returns errInterrupted if ctx has ended, else err. Commands call it after what takes a
// while and before what changes something.
func interrupted(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return errInterrupted
	}
	return err
}

// progress tells a person what is under way. Argon2 takes its time, by intent.
func (c *call) progress(what string) (done func()) {
	if !c.console.watched() {
		return func() {}
	}
	fmt.Fprint(c.stderr, safetext.Line(what, maxShownPath), "… ")
	return func() { fmt.Fprintln(c.stderr) }
}

const maxShownPath = 500
