//go:build !js

package e2e_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"

	"github.com/hopseal/hopseal/e2e"
	"github.com/hopseal/hopseal/keys"
	"github.com/hopseal/hopseal/keys/keystore"
	"github.com/hopseal/hopseal/keys/trust"
)

// A client that talks to one server, whose fingerprint it was given beforehand. No
// proxy or load balancer on the way can read or change a word.
func ExampleDial() {
	ctx := context.Background()
	url, fingerprint, stop := startEchoServer()
	defer stop()

	me, err := keys.GenerateIdentity("alice") // counts for 30 days: see ExampleNewServer for one that lasts
	if err != nil {
		log.Fatal(err)
	}
	session, err := e2e.Dial(ctx, url, e2e.Config{Identity: me, Verifier: trust.Pinned(fingerprint), Protocol: "echo/1"})
	if err != nil {
		log.Fatal(err)
	}
	defer session.Close()
	if err := session.Send(ctx, []byte("hello")); err != nil {
		log.Fatal(err)
	}
	reply, err := session.Receive(ctx)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s says %q\n", session.Peer().Name(), reply)
	// Output: echo service says "hello"
}

// startEchoServer is the other end of the examples: a web server, here on a free
// port of this machine.
func startEchoServer() (url string, fingerprint keys.Fingerprint, stop func()) {
	id, err := keys.GenerateIdentity("echo service")
	if err != nil {
		log.Fatal(err)
	}
	srv, err := e2e.NewServer(e2e.ServerConfig{
		Identity: id,
		Verifier: trust.InsecureAnyone(), // a public service: it serves whoever comes
		Protocol: "echo/1",
	}, func(ctx context.Context, s *e2e.Session) error {
		for {
			message, err := s.Receive(ctx)
			if err != nil {
				return err
			}
			if err := s.Send(ctx, message); err != nil {
				return err
			}
		}
	})
	if err != nil {
		log.Fatal(err)
	}
	web := httptest.NewServer(srv)
	return web.URL, id.Fingerprint(), func() {
		srv.Shutdown(context.Background())
		web.Close()
	}
}

// A server is an http.Handler that runs a function for each client it trusts. Its identity is in a
// store, which keeps it alive: what an identity says of itself counts for 30 days.
func ExampleNewServer() {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	client, err := keys.GenerateIdentity("client")
	if err != nil {
		log.Fatal(err)
	}
	path, secret, remove := makeStore("server", client) // once
	defer remove()

	store, err := keystore.Open(ctx, path, secret)
	if err != nil {
		log.Fatal(err)
	}
	defer store.Close()
	go store.Run(ctx, keystore.DefaultRotation) // renews the identity: without it every peer refuses it after 30 days
	srv, err := e2e.NewServer(e2e.ServerConfig{Identity: store.Identity(), Verifier: store.KnownPeers(), Protocol: "echo/1"}, echo)
	if err != nil {
		log.Fatal(err)
	}
	http.Handle("/echo", srv)

	web := httptest.NewServer(http.DefaultServeMux)
	defer web.Close()
	defer srv.Shutdown(ctx)
	session, err := e2e.Dial(ctx, web.URL+"/echo", e2e.Config{
		Identity: client,
		Verifier: trust.Pinned(store.Identity().Fingerprint()),
		Protocol: "echo/1",
	})
	if err != nil {
		log.Fatal(err)
	}
	defer session.Close()
	if err := session.Send(ctx, []byte("hello")); err != nil {
		log.Fatal(err)
	}
	reply, err := session.Receive(ctx)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s says %q\n", session.Peer().Name(), reply)
	// Output: server says "hello"
}

// makeStore makes a store with a new identity, which admits a client: what an operator does with
// hopseal key new and hopseal key import.
func makeStore(name string, client *keys.Identity) (path string, secret keystore.Secret, remove func()) {
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		log.Fatal(err)
	}
	path, secret = filepath.Join(dir, "echo.store"), keystore.Passphrase([]byte("seven words that nobody else would choose"))
	me, err := keys.GenerateIdentity(name)
	if err != nil {
		log.Fatal(err)
	}
	store, err := keystore.Create(context.Background(), path, secret, me)
	if err != nil {
		log.Fatal(err)
	}
	if err := store.KnownPeers().Admit(trust.Expected{Role: trust.RoleClient}, client.Public()); err != nil {
		log.Fatal(err)
	}
	if err := store.Close(); err != nil {
		log.Fatal(err)
	}
	return path, secret, func() { os.RemoveAll(dir) }
}

// A file of any size goes as a stream, and takes little memory at either end.
func ExampleSession_SendStream() {
	ctx := context.Background()
	client, err := keys.GenerateIdentity("client")
	if err != nil {
		log.Fatal(err)
	}
	server, err := keys.GenerateIdentity("server")
	if err != nil {
		log.Fatal(err)
	}
	srv, err := e2e.NewServer(e2e.ServerConfig{
		Identity: server,
		Verifier: trust.Pinned(client.Fingerprint()),
		Protocol: "upload/1",
	}, func(ctx context.Context, s *e2e.Session) error {
		file, err := s.ReceiveStream(ctx)
		if err != nil {
			return err
		}
		defer file.Close()
		n, err := io.Copy(io.Discard, file) // or into a temporary file, until this returns nil
		if err != nil {
			return err
		}
		return s.Send(ctx, fmt.Appendf(nil, "%s: %d bytes", file.Data, n))
	})
	if err != nil {
		log.Fatal(err)
	}
	web := httptest.NewServer(srv)
	defer web.Close()
	defer srv.Shutdown(ctx)

	session, err := e2e.Dial(ctx, web.URL, e2e.Config{
		Identity: client,
		Verifier: trust.Pinned(server.Fingerprint()),
		Protocol: "upload/1",
	})
	if err != nil {
		log.Fatal(err)
	}
	defer session.Close()
	file := bytes.NewReader(make([]byte, 3_000_000))
	err = session.SendStream(ctx, "file", file, &e2e.StreamOptions{Data: []byte("report.pdf")})
	if err != nil {
		log.Fatal(err)
	}
	answer, err := session.Receive(ctx)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s\n", answer)
	// Output: report.pdf: 3000000 bytes
}
