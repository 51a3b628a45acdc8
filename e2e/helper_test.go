package e2e_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hopseal/hopseal/e2e"
	"github.com/hopseal/hopseal/internal/leak"
	"github.com/hopseal/hopseal/keys"
	"github.com/hopseal/hopseal/keys/trust"
	"github.com/hopseal/hopseal/transport"
)

// TestMain looks for goroutines that were left behind. In wasm one belongs to the
// runtime.
func TestMain(m *testing.M) {
	leak.Main(m)
}

// longTests reports whether tests may take minutes.
func longTests() bool { return os.Getenv("HOPSEAL_LONG_TESTS") != "" }

var (
	alice   = newIdentity("alice")   // the client
	bob     = newIdentity("bob")     // the server
	mallory = newIdentity("mallory") // somebody else
)

func newIdentity(name string) *keys.Identity {
	id, err := keys.GenerateIdentity(name)
	if err != nil {
		panic(err)
	}
	return id
}

// trusting returns the Config of a client that trusts exactly the others.
func trusting(me *keys.Identity, others ...*keys.Identity) e2e.Config {
	return e2e.Config{Identity: me, Verifier: pinned(others), Protocol: "test/1", Options: e2e.Options{Logger: silent}}
}

// hosting is trusting for a server.
func hosting(me *keys.Identity, others ...*keys.Identity) e2e.ServerConfig {
	return e2e.ServerConfig{Identity: me, Verifier: pinned(others), Protocol: "test/1", Options: e2e.Options{Logger: silent}}
}

func pinned(others []*keys.Identity) trust.Verifier {
	var pins []keys.Fingerprint
	for _, o := range others {
		pins = append(pins, o.Fingerprint())
	}
	return trust.Pinned(pins...)
}

// anyConfig is that of either end.
type anyConfig interface {
	e2e.Config | e2e.ServerConfig
}

// options returns what both ends' Configs have.
func options[C anyConfig](cfg *C) *e2e.Options {
	if server, ok := any(cfg).(*e2e.ServerConfig); ok {
		return &server.Options
	}
	return &any(cfg).(*e2e.Config).Options
}

// silent is the Logger of tests that are about something else.
var silent = slog.New(slog.DiscardHandler)

// bubble runs f on a clock of its own. That starts long before any identity was
// issued, so it is put forward first.
func bubble(t *testing.T, f func(t *testing.T)) {
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(time.Until(mallory.Public().Issued()))
		f(t)
	})
}

func echo(ctx context.Context, s *e2e.Session) error {
	for {
		message, err := s.Receive(ctx)
		if err != nil {
			return err
		}
		if err := s.Send(ctx, message); err != nil {
			return err
		}
	}
}

func newServer(t testing.TB, cfg e2e.ServerConfig, handle func(context.Context, *e2e.Session) error) *e2e.Server {
	t.Helper()
	srv, err := e2e.NewServer(cfg, handle)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := srv.Shutdown(context.Background()); err != nil {
			t.Errorf("Shutdown: %v", err)
		}
	})
	return srv
}

// serve runs ServeConn and returns where its result will be.
func serve(srv *e2e.Server, conn transport.Conn) <-chan error {
	result := make(chan error, 1)
	go func() { result <- srv.ServeConn(context.Background(), conn) }()
	return result
}

// over returns the two ends of a session over a pipe.
func over(t testing.TB, opts ...transport.PipeOption) (client, server *e2e.Session) {
	t.Helper()
	a, b := transport.Pipe(opts...)
	return establish(t, a, b)
}

func establish(t testing.TB, a, b transport.Conn) (client, server *e2e.Session) {
	t.Helper()
	type result struct {
		*e2e.Session
		error
	}
	accepted := make(chan result, 1)
	go func() {
		s, err := e2e.Accept(context.Background(), b, hosting(bob, alice))
		accepted <- result{s, err}
	}()
	client, err := e2e.Connect(context.Background(), a, "pipe", trusting(alice, bob))
	other := <-accepted
	if err != nil || other.error != nil {
		t.Fatalf("client: %v, server: %v", err, other.error)
	}
	t.Cleanup(func() { client.Close(); other.Close() })
	return client, other.Session
}

// deaf is a Conn of a server that reads nothing behind the handshake.
type deaf struct {
	transport.Conn
	reads  int
	closed chan struct{}
	once   sync.Once
}

func (d *deaf) Read(ctx context.Context, dst []byte) ([]byte, error) {
	if d.reads++; d.reads <= 2 { // m1, m3
		return d.Conn.Read(ctx, dst)
	}
	select {
	case <-d.closed:
	case <-ctx.Done():
	}
	return dst, net.ErrClosed
}

func (d *deaf) Close(code transport.Code, reason string) error {
	d.once.Do(func() { close(d.closed) })
	return d.Conn.Close(code, reason)
}

// overDeaf is over with a server that does not read.
func overDeaf(t testing.TB, opts ...transport.PipeOption) (client, server *e2e.Session) {
	t.Helper()
	a, b := transport.Pipe(opts...)
	return establish(t, a, &deaf{Conn: b, closed: make(chan struct{})})
}

func mustSend(t testing.TB, s *e2e.Session, message string) {
	t.Helper()
	if err := s.Send(t.Context(), []byte(message)); err != nil {
		t.Fatalf("Send: %v", err)
	}
}

func mustReceive(t testing.TB, s *e2e.Session, want string) {
	t.Helper()
	got, err := s.Receive(t.Context())
	if err != nil || string(got) != want {
		t.Fatalf("Receive: %.60q, %v, want %.60q", got, err, want)
	}
}

// wantEnd checks how a session ended, and that it stays so for every call.
func wantEnd(t testing.TB, s *e2e.Session, want e2e.CloseError, eof bool) error {
	t.Helper()
	_, err := s.Receive(t.Context())
	var closed *e2e.CloseError
	if !errors.As(err, &closed) {
		t.Fatalf("ended with %v, want a CloseError", err)
	}
	if closed.Code != want.Code || closed.Remote != want.Remote || !errors.Is(closed.Err, want.Err) {
		t.Fatalf("ended with %+v (%v), want %+v", closed, err, want)
	}
	if !errors.Is(err, net.ErrClosed) || errors.Is(err, io.EOF) != eof {
		t.Errorf("%v: net.ErrClosed %v, io.EOF %v", err, errors.Is(err, net.ErrClosed), errors.Is(err, io.EOF))
	}
	if _, again := s.Receive(t.Context()); again != err {
		t.Errorf("a second Receive: %v, not %v", again, err)
	}
	if again := s.Send(t.Context(), nil); again != err {
		t.Errorf("a later Send: %v, not %v", again, err)
	}
	lost := closed.Gap != nil && closed.Gap.Count > 0
	if again := s.Close(); lost && again != err || !lost && again != nil {
		t.Errorf("a later Close: %v", again)
	}
	return err
}

// wantHandshake checks why a handshake failed.
func wantHandshake(t testing.TB, err error, reason e2e.Reason) *e2e.HandshakeError {
	t.Helper()
	var failed *e2e.HandshakeError
	if !errors.As(err, &failed) || failed.Reason != reason {
		t.Fatalf("handshake: %v (%+v), want reason %d", err, failed, reason)
	}
	return failed
}

// numbered returns a fault that applies change to message n, from 1, only.
func numbered(n int, change func(msg []byte) [][]byte) transport.Fault {
	i := 0
	return func(msg []byte) [][]byte {
		if i++; i == n {
			return change(msg)
		}
		return [][]byte{msg}
	}
}

func messages(n int) (out []string) {
	for i := range n {
		out = append(out, fmt.Sprint("message ", i))
	}
	return out
}
