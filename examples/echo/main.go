//go:build !js

// Echo is the smallest service on Hopseal, with a client that counts, and a hop between
// them that ends TLS, shows what it sees, and cuts every connection after a second.
//
//	go run ./examples/echo                         all three, until the hop has cut ten times
//	go run ./examples/echo serve | client | hop    each of them alone, see README.md
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

// protocol names the protocol of this application. Ends of another protocol cannot connect by mistake.
const protocol = "echo/1"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout)
	stop()
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "echo:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, out io.Writer) error {
	commands := map[string]func(context.Context, []string, io.Writer) error{
		"serve": serve, "client": client, "hop": hop,
	}
	command := demo
	if len(args) > 0 && commands[args[0]] != nil {
		command, args = commands[args[0]], args[1:]
	}
	return command(ctx, args, out)
}

// parse reads the flags, and checks that between least and most arguments follow.
func parse(flags *flag.FlagSet, args []string, out io.Writer, usage string, least, most int) error {
	flags.SetOutput(out)
	flags.Usage = func() {
		fmt.Fprintln(out, "usage:", usage)
		flags.PrintDefaults()
	}
	if err := flags.Parse(args); err != nil {
		return err
	}
	if n := flags.NArg(); n < least || n > most {
		return errors.New("usage: " + usage)
	}
	return nil
}
