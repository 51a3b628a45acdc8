//go:build !js

package stepclock_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hopseal/hopseal/e2e"
	"github.com/hopseal/hopseal/internal/stepclock"
	"github.com/hopseal/hopseal/keys"
	"github.com/hopseal/hopseal/keys/trust"
	"github.com/hopseal/hopseal/transport"
)

// anyone trusts whoever it is, whatever the wall clock says.
type anyone struct{}

func (anyone) Verify(context.Context, trust.Expected, *keys.PublicIdentity) error { return nil }

// A pair is a client and a server in memory.
type pair struct {
	t       *testing.T
	client  e2e.Config
	server  e2e.ServerConfig
	srv     *e2e.Server
	session *e2e.Session
	away    atomic.Bool // the session's client
	ended   chan error  // what Receive returned at the server

	mu    sync.Mutex
	shut  bool
	lossy transport.Fault // of what the server sends
	last  *transport.PipeConn
}

func newPair(t *testing.T) *pair {
	p := &pair{t: t, ended: make(chan error, 10)}
	p.client = e2e.Config{Identity: identity(t), Verifier: anyone{}, Protocol: "test/1"}
	p.server = e2e.ServerConfig{Identity: identity(t), Verifier: anyone{}, Protocol: "test/1"}
	return p
}

func identity(t *testing.T) *keys.Identity {
	id, err := keys.GenerateIdentity("someone")
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// serve begins, or restarts, the server, which answers what it gets. Its identity is renewed as a
// store renews one that it opens.
func (p *pair) serve() {
	if p.server.Identity.Check(stepclock.Now()) != nil {
		p.server.Identity.Renew()
	}
	srv, err := e2e.NewServer(p.server, func(ctx context.Context, s *e2e.Session) error {
		for {
			m, err := s.Receive(ctx)
			if err == nil {
				err = s.Send(ctx, m)
			}
			if err != nil {
				p.ended <- err
				return err
			}
		}
	})
	if err != nil {
		p.t.Fatal(err)
	}
	p.srv = srv
	p.t.Cleanup(func() { srv.Shutdown(context.Background()) })
}

func (p *pair) dial(context.Context) (transport.Conn, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.shut || p.away.Load() {
		return nil, errors.New("there is no way")
	}
	a, b := transport.Pipe(transport.WithFaults(nil, p.lossy))
	p.last = a
	go p.srv.ServeConn(context.Background(), b)
	return a, nil
}

func (p *pair) cut(shut bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.shut = shut
	p.last.Cut()
}

func (p *pair) begin() *pair {
	p.serve()
	s, err := e2e.DialFunc(p.t.Context(), "server", p.client, p.dial)
	if err != nil {
		p.t.Fatal(err)
	}
	p.session = s
	p.t.Cleanup(func() { s.Close() })
	p.talk()
	return p
}

func (p *pair) talk() {
	p.t.Helper()
	if err := p.session.Send(p.t.Context(), []byte("hello")); err != nil {
		p.t.Fatal(err)
	}
	if got, err := p.session.Receive(p.t.Context()); err != nil || string(got) != "hello" {
		p.t.Fatal(string(got), err)
	}
}

// until returns how long it takes until the session is over.
func (p *pair) until(set func(), after time.Duration) time.Duration {
	p.t.Helper()
	start := time.Now()
	time.Sleep(after)
	set()
	<-p.ended
	return time.Since(start)
}
