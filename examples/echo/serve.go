//go:build !js

package main

import (
	"context"
	"crypto/tls"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"time"

	"github.com/hopseal/hopseal/e2e"
	"github.com/hopseal/hopseal/keys"
	"github.com/hopseal/hopseal/keys/trust"
	"github.com/hopseal/hopseal/transport"
)

// serve runs the service alone, until the context ends.
func serve(ctx context.Context, args []string, out io.Writer) error {
	flags := flag.NewFlagSet("echo serve", flag.ContinueOnError)
	addr := flags.String("addr", "localhost:8080", "where to listen, `host:port`")
	if err := parse(flags, args, out, "echo serve [-addr host:port]", 0, 0); err != nil {
		return err
	}
	s, err := newService(*addr, nil)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "listening; in another terminal:\n\n"+
		"  go run ./examples/echo client -server %s ws://%s hello\n\n"+
		"or with a hop between them, which sees everything:\n\n"+
		"  go run ./examples/echo hop ws://%[2]s\n\n",
		s.identity.Fingerprint(), s.listener.Addr())
	return s.run(ctx)
}

// A service sends back what it receives.
type service struct {
	identity *keys.Identity
	server   *e2e.Server
	listener net.Listener
}

// newService makes a service with a new identity, whose fingerprint its clients have to know. A real
// service keeps its identity in a keystore.Store, so that its fingerprint stays the same, and has
// Store.Run renew it.
func newService(addr string, log *slog.Logger) (*service, error) {
	me, err := keys.GenerateIdentity("echo service")
	if err != nil {
		return nil, err
	}
	server, err := e2e.NewServer(e2e.ServerConfig{
		Identity: me,
		// A public service serves every client, so it must not trust any of them. Its clients
		// still know for sure whom they talk to.
		Verifier: trust.InsecureAnyone(),
		Protocol: protocol,
		Options:  e2e.Options{Logger: log}, // nil: slog.Default()
	}, echo)
	if err != nil {
		return nil, err
	}
	listener, err := listen(addr)
	return &service{me, server, listener}, err
}

func listen(addr string) (net.Listener, error) {
	listener, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("cannot listen on %s: %w: choose another address with -addr", addr, err)
	}
	return listener, nil
}

// behindTLS makes clients come with wss.
func (s *service) behindTLS(c tls.Certificate) {
	s.listener = tls.NewListener(s.listener, &tls.Config{Certificates: []tls.Certificate{c}})
}

func (s *service) run(ctx context.Context) error {
	// An identity's statement is valid for 30 days. After that every client refuses it.
	go s.identity.KeepAlive(ctx)
	web := transport.NewHTTPServer(s.server)
	failed := make(chan error, 1)
	go func() { failed <- web.Serve(s.listener) }()
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	grace, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	return errors.Join(web.Shutdown(grace), s.server.Shutdown(grace))
}

// echo runs once for each session, however many connections the session has.
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
