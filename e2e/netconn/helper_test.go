package netconn_test

import (
	"context"
	"io"
	"log/slog"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hopseal/hopseal/e2e"
	"github.com/hopseal/hopseal/e2e/netconn"
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

var silent = e2e.Options{Logger: slog.New(slog.DiscardHandler)}

// dialing and hosting return the Configs of a client and of a server that trust each other.
func dialing() e2e.Config {
	return e2e.Config{Identity: alice, Verifier: trust.Pinned(bob.Fingerprint()), Protocol: "test/1", Options: silent}
}

func hosting() e2e.ServerConfig {
	return e2e.ServerConfig{Identity: bob, Verifier: trust.Pinned(alice.Fingerprint()), Protocol: "test/1", Options: silent}
}

// bubble runs f on a clock of its own. That starts long before any identity was
// issued, so it is put forward first.
func bubble(t *testing.T, f func(t *testing.T)) {
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(time.Until(bob.Public().Issued()))
		f(t)
	})
}

// streams returns the two ends of a session as net.Conns.
func streams(t testing.TB, opts ...transport.PipeOption) (client, server *netconn.Conn) {
	a, b := transport.Pipe(opts...)
	return connect(t, a, b)
}

// connect is streams over connections that the caller holds.
func connect(t testing.TB, a, b transport.Conn) (client, server *netconn.Conn) {
	t.Helper()
	type result struct {
		*e2e.Session
		error
	}
	accepted := make(chan result, 1)
	go func() {
		s, err := e2e.Accept(context.Background(), b, hosting())
		accepted <- result{s, err}
	}()
	c, err := e2e.Connect(context.Background(), a, "pipe", dialing())
	other := <-accepted
	if err != nil || other.error != nil {
		t.Fatalf("client: %v, server: %v", err, other.error)
	}
	t.Cleanup(func() { c.Close(); other.Close() })
	return netconn.New(c), netconn.New(other.Session)
}

// randomBytes returns the same ones for each seed.
func randomBytes(seed byte, n int) []byte {
	b := make([]byte, n)
	rand.NewChaCha8([32]byte{seed}).Read(b)
	return b
}

func mustWriteTo(t testing.TB, c io.Writer, text string) {
	t.Helper()
	if n, err := io.WriteString(c, text); err != nil || n != len(text) {
		t.Fatalf("Write: %d, %v", n, err)
	}
}

func mustReadFrom(t testing.TB, c io.Reader, want string) {
	t.Helper()
	got := make([]byte, len(want))
	if _, err := io.ReadFull(c, got); err != nil || string(got) != want {
		t.Fatalf("Read: %q, %v, want %q", got, err, want)
	}
}
