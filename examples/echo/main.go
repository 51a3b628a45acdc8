//go:build !js

// Echo is the smallest service on Hopseal, and its client.
//
//	go run ./examples/echo serve [-addr localhost:8080]
//	go run ./examples/echo -server FINGERPRINT URL text...
//
// The service makes a new identity at every start and prints its fingerprint, which
// is what the client needs to know beside the address. A real service loads its
// identity from a file (keys.LoadIdentity), so that clients learn it once.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"time"

	"github.com/hopseal/hopseal/e2e"
	"github.com/hopseal/hopseal/internal/safetext"
	"github.com/hopseal/hopseal/keys"
	"github.com/hopseal/hopseal/transport"
)

// protocol names what the two ends speak. Others cannot talk to them by mistake.
const protocol = "echo/1"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "echo:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, out io.Writer) error {
	if len(args) > 0 && args[0] == "serve" {
		return serve(ctx, args[1:], out)
	}
	return call(ctx, args, out)
}

// call is the client.
func call(ctx context.Context, args []string, out io.Writer) error {
	flags := flag.NewFlagSet("echo", flag.ContinueOnError)
	flags.SetOutput(out)
	server := flags.String("server", "", "the service's `fingerprint`, as it printed it")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() < 2 || *server == "" {
		return errors.New("usage: echo -server FINGERPRINT URL text...   or: echo serve")
	}
	fingerprint, err := keys.ParseFingerprint(*server)
	if err != nil {
		return err
	}
	me, err := keys.GenerateIdentity("echo client")
	if err != nil {
		return err
	}

	session, err := e2e.Dial(ctx, flags.Arg(0), e2e.Config{
		Identity: me,
		Verifier: keys.Pinned(fingerprint),
		Protocol: protocol,
	})
	if err != nil {
		return err
	}
	defer session.Close()
	for _, text := range flags.Args()[1:] {
		if err := session.Send(ctx, []byte(text)); err != nil {
			return err
		}
		reply, err := session.Receive(ctx)
		if err != nil {
			return err
		}
		fmt.Fprintln(out, safetext.Line(string(reply), 1000))
	}
	return nil
}

// serve is the service. It runs until the context ends.
func serve(ctx context.Context, args []string, out io.Writer) error {
	flags := flag.NewFlagSet("echo serve", flag.ContinueOnError)
	flags.SetOutput(out)
	addr := flags.String("addr", "localhost:8080", "where to listen, `host:port`")
	if err := flags.Parse(args); err != nil {
		return err
	}
	me, err := keys.GenerateIdentity("echo service")
	if err != nil {
		return err
	}
	srv, err := e2e.NewServer(e2e.Config{
		Identity: me,
		// A public service: it serves whoever comes, and trusts nobody with
		// anything. Its clients still know for sure whom they talk to.
		Verifier: keys.InsecureTrustAnyone(),
		Protocol: protocol,
	}, echo)
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", *addr)
	if err != nil {
		return fmt.Errorf("cannot listen on %s: %w: choose another address with -addr", *addr, err)
	}
	fmt.Fprintf(out, "listening; in another terminal:\n\n  go run ./examples/echo -server %s ws://%s hello\n\n",
		me.Fingerprint(), listener.Addr())
	return serveUntil(ctx, listener, srv)
}

func serveUntil(ctx context.Context, listener net.Listener, srv *e2e.Server) error {
	web := transport.NewHTTPServer(srv)
	failed := make(chan error, 1)
	go func() { failed <- web.Serve(listener) }()
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	grace, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	return errors.Join(web.Shutdown(grace), srv.Shutdown(grace))
}

// echo runs once for each session.
func echo(ctx context.Context, session *e2e.Session) error {
	for {
		message, err := session.Receive(ctx)
		if err != nil {
			return err
		}
		if err := session.Send(ctx, message); err != nil {
			return err
		}
	}
}
