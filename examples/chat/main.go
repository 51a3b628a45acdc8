//go:build !js

// Chat is a chat that its own server cannot read. Run without arguments it serves
// a relay and a web page; as "chat join" it is a client for the terminal. Both
// speak the protocol in README.md.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
)

// stdio is the outside of the program, so that tests can stand in for it.
type stdio struct {
	in       io.Reader
	out, err io.Writer
	getenv   func(string) string
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	std := stdio{os.Stdin, os.Stdout, os.Stderr, os.Getenv}
	code := run(ctx, os.Args[1:], std)
	stop()
	os.Exit(code)
}

// run returns the exit code: 1 for an error, 2 for a command line that makes no
// sense. Either is one line on std.err.
func run(ctx context.Context, args []string, std stdio) int {
	command := serve
	if len(args) > 0 && args[0] == "join" {
		command, args = join, args[1:]
	}
	err := command(ctx, args, std)
	switch {
	case err == nil, errors.Is(err, flag.ErrHelp):
		return 0
	case errors.As(err, new(usageError)):
		fmt.Fprintln(std.err, "chat:", err)
		return 2
	}
	fmt.Fprintln(std.err, "chat:", err)
	return 1
}

// A usageError is about the command line.
type usageError struct{ error }

// parseFlags reads flags that stand before, between and after the other
// arguments, and returns the others.
func parseFlags(fs *flag.FlagSet, args []string, std stdio) (rest []string, err error) {
	help := fs.Usage
	fs.SetOutput(io.Discard) // an error is one line, and run prints it
	fs.Usage = func() {}
	for {
		err := fs.Parse(args)
		if errors.Is(err, flag.ErrHelp) {
			fs.SetOutput(std.out)
			help()
			return nil, err
		}
		if err != nil {
			return nil, usageError{fmt.Errorf("%w; -help lists what there is", err)}
		}
		if fs.NArg() == 0 {
			return rest, nil
		}
		rest, args = append(rest, fs.Arg(0)), fs.Args()[1:]
	}
}
