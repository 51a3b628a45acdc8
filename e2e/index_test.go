package e2e_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/hopseal/hopseal/e2e"
	"github.com/hopseal/hopseal/e2e/sessionstore"
	"github.com/hopseal/hopseal/transport"
	"github.com/hopseal/hopseal/transport/redial"
)

// A session that was taken over and has come back is found under its own ids, although the one
// that this server had before is still being cleared away, and had some of them too. Otherwise
// its function would be begun anew for a client that has only lost an answer.
func TestSessionKeepsItsIDsWhenTheOneBeforeGoes(t *testing.T) {
	bubble(t, func(t *testing.T) {
		store := sessionstore.Memory()
		release := make(chan struct{})
		var mu sync.Mutex
		var begun []*e2e.Session
		here := newServer(t, stored(hosting(bob, alice), store), func(ctx context.Context, s *e2e.Session) error {
			mu.Lock()
			begun = append(begun, s)
			first := len(begun) == 1
			mu.Unlock()
			err := echo(ctx, s)
			if first {
				<-release // and only then it makes room
			}
			return err
		})
		there := newServer(t, stored(hosting(bob, alice), store), echo)
		noAnswer := func() transport.PipeOption { // r4, of a resume
			return transport.WithFaults(nil, numbered(2, func([]byte) [][]byte { return nil }))
		}
		dials := []struct {
			srv *e2e.Server
			hop []transport.PipeOption
		}{
			{srv: here},
			{there, []transport.PipeOption{noAnswer()}}, // takes the session over
			{srv: here}, // which finds that it has lost it
			{here, []transport.PipeOption{noAnswer()}}, // has it back, and the client does not know
			{srv: here},
		}
		var last *transport.PipeConn
		n := 0
		cfg := trusting(alice, bob)
		cfg.HandshakeTimeout = time.Second
		cfg.Retry = redial.Policy{Base: 100 * time.Millisecond, Cap: 100 * time.Millisecond}
		c, err := e2e.DialFunc(t.Context(), "pipe", cfg, func(context.Context) (transport.Conn, error) {
			dial := dials[min(n, len(dials)-1)]
			if n++; n == len(dials) {
				close(release)
				time.Sleep(10 * time.Millisecond)
			}
			a, b := transport.Pipe(dial.hop...)
			last = a
			serve(dial.srv, b)
			return a, nil
		})
		if err != nil {
			t.Fatal(err)
		}
		mustSend(t, c, "hello")
		mustReceive(t, c, "hello")
		last.Cut()
		mustSend(t, c, "again")
		for message := []byte(nil); string(message) != "again"; { // what the first function was busy with comes again
			if message, err = c.Receive(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		mu.Lock()
		defer mu.Unlock()
		if len(begun) != 2 {
			t.Errorf("the function was begun %d times, want once more for the session that came back", len(begun))
		}
		c.Close()
	})
}
