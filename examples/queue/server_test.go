package main

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/hopseal/hopseal/envelope"
	"github.com/hopseal/hopseal/keys"
)

// A server is a Redis of this test, on a Unix socket.
type server struct {
	t      testing.TB
	folder string
	cmd    *exec.Cmd
}

func newServer(t testing.TB) *server {
	t.Helper()
	if _, err := exec.LookPath("redis-server"); err != nil {
		if os.Getenv("HOPSEAL_QUEUE_TESTS") == "require" {
			t.Fatal("there is no redis-server")
		}
		t.Skip("needs redis-server (Debian: apt-get install redis-server)")
	}
	folder, err := os.MkdirTemp("", "redis") // a short path: a socket's is limited
	if err != nil {
		t.Fatal(err)
	}
	s := &server{t: t, folder: folder}
	t.Cleanup(func() { s.stop(); os.RemoveAll(folder) })
	s.start()
	return s
}

func (s *server) socket() string { return filepath.Join(s.folder, "s") }

// start comes back with what the server had written before it was stopped.
func (s *server) start() {
	s.t.Helper()
	s.cmd = exec.Command("redis-server", "--port", "0", "--unixsocket", s.socket(), "--dir", s.folder, "--appendonly", "yes", "--save", "")
	if err := s.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	c := connect(s.socket())
	defer c.Close()
	for deadline := time.Now().Add(20 * time.Second); c.Ping(context.Background()).Err() != nil; {
		if time.Now().After(deadline) {
			s.t.Fatal("redis-server does not start")
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func (s *server) stop() {
	if s.cmd != nil {
		_ = s.cmd.Process.Signal(syscall.SIGTERM)
		_ = s.cmd.Wait()
		s.cmd = nil
	}
}

func (s *server) client() *redis.Client {
	c := connect(s.socket())
	s.t.Cleanup(func() { c.Close() })
	return c
}

// ends are a shop and a warehouse.
type ends struct {
	sealer envelope.Sealer
	opener envelope.Opener
}

func newEnds(t testing.TB) ends {
	t.Helper()
	shop, err := keys.GenerateIdentity("shop")
	if err != nil {
		t.Fatal(err)
	}
	warehouse, err := keys.GenerateIdentity("warehouse")
	if err != nil {
		t.Fatal(err)
	}
	return ends{
		envelope.Sealer{From: shop, To: []*keys.PublicIdentity{warehouse.Public()}, Context: "orders"},
		envelope.Opener{Identity: warehouse, From: shop.Public(), Context: "orders", MaxAge: maxAge},
	}
}

func (e *ends) seal(t testing.TB, message string) []byte {
	t.Helper()
	sealed, err := e.sealer.Seal(nil, []byte(message))
	if err != nil {
		t.Fatal(err)
	}
	return sealed
}

func newTestClaims(t testing.TB, c *redis.Client, lease time.Duration) *Claims {
	t.Helper()
	claims := &Claims{Redis: c, Name: "orders", Lease: lease}
	if err := claims.Create(t.Context(), maxAge, time.Time{}); err != nil {
		t.Fatal(err)
	}
	return claims
}

// open is one delivery.
func (e *ends) open(ctx context.Context, c *Claims, sealed []byte) (*Delivery, error) {
	o, d := e.opener, c.Deliver()
	o.Replay = d
	_, _, err := o.WithContext(ctx).Open(nil, sealed)
	return d, err
}

func expect(t *testing.T, err, want error, reason envelope.Reason) {
	t.Helper()
	if !errors.Is(err, want) || errors.Is(err, envelope.ErrOpen) != (reason != 0) || envelope.ReasonOf(err) != reason {
		t.Errorf("%v (%v), want %v", err, envelope.ReasonOf(err), want)
	}
}

// eventually waits for what other goroutines do.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !holds(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("never: ", what)
		}
	}
}

// consumer runs until the test ends, or the function that it returns is called.
func (e *ends) consumer(t *testing.T, queue *redis.Client, claims *Claims, name string, handle func(context.Context, []byte, envelope.Header) error) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	var all sync.WaitGroup
	c := &Consumer{Queue: queue, Claims: claims, Name: name, Handle: handle, Opener: func(context.Context) (envelope.Opener, error) { return e.opener, nil }}
	all.Go(func() { c.Run(ctx) })
	stop = func() { cancel(); all.Wait() }
	t.Cleanup(stop)
	return stop
}

func empty(ctx context.Context, queue *redis.Client) func() bool {
	return func() bool { n, err := queue.XLen(ctx, "orders").Result(); return err == nil && n == 0 }
}
