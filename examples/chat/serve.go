//go:build !js

package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"syscall"
	"time"

	"github.com/hopseal/hopseal/internal/wasmbuild"
	"github.com/hopseal/hopseal/transport"
	"github.com/hopseal/hopseal/transport/relay"
)

const defaultAddr = "127.0.0.1:8090"

// serve runs the relay and the page until ctx is done.
func serve(ctx context.Context, args []string, std stdio) error {
	addr, hosts, err := parseServe(args, std)
	if err != nil {
		return err
	}
	listener, err := listen(addr) // before the build: a taken port is said at once
	if err != nil {
		return err
	}
	defer listener.Close()
	fmt.Fprintln(std.out, "building the page's WebAssembly, up to a minute the first time…")
	built, err := wasmbuild.Build(ctx, "")
	if err != nil {
		return fmt.Errorf("%w; run this inside the hopseal repository", err)
	}
	url := "http://" + listener.Addr().String()
	fmt.Fprintf(std.out, `The chat is at %s
Open it in two browser windows. To join from a terminal as well:
  go run ./examples/chat join -name carol -room lobby %[1]s
Ctrl-C ends it.
`, url)
	warnOpen(listener.Addr(), std)
	return serveUntil(ctx, listener, relay.New(relay.Options{Accept: &transport.AcceptOptions{Sealed: true, Hosts: hosts}}), built.Dir)
}

func parseServe(args []string, std stdio) (addr string, hosts []string, err error) {
	fs := flag.NewFlagSet("chat", flag.ContinueOnError)
	fs.Usage = func() {
		fmt.Fprintln(fs.Output(), "usage: chat [-addr HOST:PORT] [-host NAMES]       serve the relay and the page\n"+
			"       chat join -name NAME -room ROOM URL       be in a room, in the terminal")
		fs.PrintDefaults()
	}
	fs.StringVar(&addr, "addr", defaultAddr, "`address` to listen on")
	fs.Func("host", "`names`, with commas, by which the page is reached where that is not this machine's own, such as chat.example.com behind an https front", func(names string) error {
		hosts = append(strings.Split(names, ","), "localhost", "127.0.0.1", "[::1]")
		return nil
	})
	rest, err := parseFlags(fs, args, std)
	if err == nil && len(rest) > 0 {
		err = usageError{fmt.Errorf("there is no command %s: it is join, or none to serve the page", shownName(rest[0]))}
	}
	return addr, hosts, err
}

func listen(addr string) (net.Listener, error) {
	listener, err := net.Listen("tcp", addr)
	switch {
	case err == nil:
		return listener, nil
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, fmt.Errorf("%s is taken: stop what runs there, or choose another with -addr, as in -addr 127.0.0.1:0 for any that is free", addr)
	case errors.Is(err, syscall.EACCES):
		return nil, fmt.Errorf("you may not listen on %s: choose a port above 1023 with -addr", addr)
	}
	return nil, fmt.Errorf("cannot listen on %s: choose another address with -addr: %w", addr, err)
}

// warnOpen says what does not work once others can reach the page.
func warnOpen(addr net.Addr, std stdio) {
	at, err := netip.ParseAddrPort(addr.String())
	if err == nil && !at.Addr().IsLoopback() {
		fmt.Fprintln(std.out, "Other machines can reach this address. Over plain http their browsers keep no keys: put https in front of it, and name it with -host.")
	}
}

// serveUntil serves until ctx is done, then lets members go.
func serveUntil(ctx context.Context, listener net.Listener, hub *relay.Hub, npmDir string) error {
	server := transport.NewHTTPServer(newHandler(hub, npmDir))
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }()
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	end, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	err := errors.Join(hub.Shutdown(end), server.Shutdown(end))
	<-failed
	return err
}
