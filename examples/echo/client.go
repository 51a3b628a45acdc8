//go:build !js

package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"time"

	"github.com/hopseal/hopseal/e2e"
	"github.com/hopseal/hopseal/internal/safetext"
	"github.com/hopseal/hopseal/keys"
	"github.com/hopseal/hopseal/keys/trust"
	"github.com/hopseal/hopseal/transport"
	"github.com/hopseal/hopseal/transport/redial"
)

// client runs the client alone. It sends the given texts, or without any numbered messages that it
// counts.
func client(ctx context.Context, args []string, out io.Writer) error {
	flags := flag.NewFlagSet("echo client", flag.ContinueOnError)
	server := flags.String("server", "", "the service's `fingerprint`, as it printed it")
	roots := flags.String("ca", "", "PEM `file` with the certificate of the end of TLS, hop or service; empty: trust those that the system trusts")
	var c counting
	c.flags(flags)
	const usage = "echo client -server FINGERPRINT [-ca FILE] [-every TIME] [-cuts N] URL [text...]"
	if err := parse(flags, args, out, usage, 1, 1000); err != nil {
		return err
	}
	fingerprint, err := keys.ParseFingerprint(*server)
	if err != nil {
		return fmt.Errorf("-server: %w", err)
	}
	var pem []byte
	if *roots != "" {
		if pem, err = os.ReadFile(*roots); err != nil {
			return err
		}
	}
	if flags.NArg() == 1 {
		return c.run(ctx, out, dialer{flags.Arg(0), fingerprint, pem})
	}
	return converse(ctx, out, dialer{flags.Arg(0), fingerprint, pem}, flags.Args()[1:])
}

// A dialer is what a client knows of the service.
type dialer struct {
	url         string
	fingerprint keys.Fingerprint
	roots       []byte // PEM; nil: the system's
}

// dial makes a session that reconnects when its connection is lost, and calls notify then.
func (d dialer) dial(ctx context.Context, notify func(e2e.Event)) (*e2e.Session, error) {
	me, err := keys.GenerateIdentity("echo client")
	if err != nil {
		return nil, err
	}
	return e2e.Dial(ctx, d.url, e2e.Config{
		Identity: me,
		Verifier: trust.Pinned(d.fingerprint),
		Protocol: protocol,
		Options: e2e.Options{
			Notify: notify,
			Logger: slog.New(slog.DiscardHandler), // the program prints what matters
		},
		Dial: &transport.DialOptions{TLS: &transport.TLSOptions{RootsPEM: d.roots}},
		// The hop cuts each connection after a second. Other clients wait longer and longer
		// after such cuts, since their server may be overloaded; this one need not.
		Retry: redial.Policy{Base: 200 * time.Millisecond, Cap: time.Second, Stable: 100 * time.Millisecond},
	})
}

// converse sends texts and prints the answers.
func converse(ctx context.Context, out io.Writer, d dialer, texts []string) error {
	session, err := d.dial(ctx, nil)
	if err != nil {
		return err
	}
	defer session.Close()
	for _, text := range texts {
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
