//go:build !js

// Hopseal is the command for those who run services on Hopseal. It makes, shows,
// rotates, backs up and withdraws keys, shows what a hop sees of a message, and finds
// out which hop is in the way:
//
//	hopseal key new -store billing.store -name billing
//	hopseal key show
//	hopseal inspect -hex message
//	hopseal doctor wss://app.example.com/socket
//	hopseal trace wss://app.example.com/socket
//
// docs/keys.md, docs/inspect.md and docs/troubleshooting.md are its guides. It exits with 0 on success, 1 on
// a failure, 2 when it was called in a way it does not know, and 3 where a running service was asked
// and has not answered, so that the change may have been made; a failure is one
// line on standard error that says what to do next. 'hopseal key show -expires-within' exits with 4 where the answer is yes.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"strings"

	"github.com/hopseal/hopseal/internal/safetext"
	"github.com/hopseal/hopseal/keys/keystore"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	slog.SetDefault(slog.New(slog.DiscardHandler)) // what there is to tell is in what the commands print
	os.Exit(run(ctx, operatingSystem(), os.Args[1:]))
}

// system is what the command has of the world around it.
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

var root = command{name: "hopseal", summary: "Keys and tools for services on Hopseal.", group: []command{keyCommands, inspectCommand, doctorCommand, traceCommand}}

const exitFailure, exitUsage, exitUnknown, exitSoon = 1, 2, 3, 4

// run runs one call of the command and returns its exit code.
func run(ctx context.Context, sys system, args []string) int {
	err := root.dispatch(ctx, sys, "", args)
	if err == nil {
		return 0
	}
	fmt.Fprintln(sys.stderr, "hopseal:", safetext.Line(explain(err), maxErrorText))
	if _, wrong := errors.AsType[usageError](err); wrong {
		return exitUsage
	}
	if errors.Is(err, keystore.ErrNoAnswer) {
		return exitUnknown
	}
	if _, yes := errors.AsType[soonError](err); yes {
		return exitSoon
	}
	return exitFailure
}

const maxErrorText = 2000

// usageError is for a call that cannot be meant like this.
type usageError struct{ text, help string }

func (e usageError) Error() string { return e.text + ": see '" + e.help + " -h'" }

// dispatch finds the command that args name. Path is what was read of them.
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

// parse reads flags and arguments, in any order, and checks that as many
// arguments are given as the command takes.
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
