package mux_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"testing"

	"github.com/hopseal/hopseal/e2e"
	"github.com/hopseal/hopseal/e2e/mux"
	"github.com/hopseal/hopseal/keys"
	"github.com/hopseal/hopseal/keys/trust"
	"github.com/hopseal/hopseal/transport"
)

var (
	alice = newIdentity("alice") // the client
	bob   = newIdentity("bob")   // the server
)

func newIdentity(name string) *keys.Identity {
	id, err := keys.GenerateIdentity(name)
	if err != nil {
		panic(err)
	}
	return id
}

// connect returns both ends of a session. Change, if there is one, is shown their Configs.
func connect(t testing.TB, change func(client *e2e.Config, server *e2e.ServerConfig)) (client, server *e2e.Session) {
	t.Helper()
	silent := e2e.Options{Logger: slog.New(slog.DiscardHandler)}
	ccfg := e2e.Config{Identity: alice, Verifier: trust.Pinned(bob.Fingerprint()), Protocol: "test/1", Options: silent}
	scfg := e2e.ServerConfig{Identity: bob, Verifier: trust.Pinned(alice.Fingerprint()), Protocol: "test/1", Options: silent}
	if change != nil {
		change(&ccfg, &scfg)
	}
	a, b := transport.Pipe()
	accepted := make(chan error, 1)
	go func() {
		var err error
		server, err = e2e.Accept(context.Background(), b, scfg)
		accepted <- err
	}()
	client, err := e2e.Connect(context.Background(), a, "pipe", ccfg)
	if other := <-accepted; err != nil || other != nil {
		t.Fatalf("client: %v, server: %v", err, other)
	}
	t.Cleanup(func() { client.Close(); server.Close() })
	return client, server
}

// serving has a Mux serve an end until the test ends.
func serving(t testing.TB, s *e2e.Session, m *mux.Mux) {
	t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		m.Serve(context.Background(), s)
	}()
	t.Cleanup(func() { s.Close(); <-done })
}

// refusals returns a callback for Config.Refused and what it hears.
func refusals() (func(*e2e.Session, *e2e.RefusedError), <-chan *e2e.RefusedError) {
	heard := make(chan *e2e.RefusedError, 100)
	return func(_ *e2e.Session, err *e2e.RefusedError) { heard <- err }, heard
}

func wantRefused(t testing.TB, err error, id uint64, why e2e.Refusal) {
	t.Helper()
	var refused *e2e.RefusedError
	if !errors.As(err, &refused) || refused.Reason != why || id > 0 && refused.ID != id {
		t.Errorf("%v, want message %d refused for reason %d", err, id, why)
	}
}

func send(t testing.TB, s *e2e.Session, typ string) (id uint64) {
	t.Helper()
	id, err := s.SendMessage(t.Context(), typ, nil)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func mustCall(t testing.TB, s *e2e.Session, typ, data, want string) {
	t.Helper()
	got, err := s.Call(t.Context(), typ, []byte(data))
	if err != nil || string(got) != want {
		t.Fatalf("Call: %.60q, %v, want %.60q", got, err, want)
	}
}

func upper(_ context.Context, r *e2e.Request) ([]byte, error) { return bytes.ToUpper(r.Data), nil }
