package e2e_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hopseal/hopseal/e2e"
	"github.com/hopseal/hopseal/e2e/sessionstore"
	"github.com/hopseal/hopseal/transport"
)

// A lazyStore takes its time to save, once it is told to.
type lazyStore struct {
	sessionstore.Store
	wait atomic.Int64 // ns; below zero: until the context ends
}

func (s *lazyStore) Save(ctx context.Context, r sessionstore.Record) error {
	switch wait := time.Duration(s.wait.Load()); {
	case wait < 0:
		<-ctx.Done()
		return ctx.Err()
	case wait > 0:
		time.Sleep(wait)
	}
	return s.Store.Save(ctx, r)
}

// A58: Close takes as long as its documentation says, whatever the store does, and where that
// is only slow the session ends in order.
func TestA58CloseWithAStoreThatIsSlow(t *testing.T) {
	for _, slow := range []time.Duration{-1, time.Second, 4 * time.Second} {
		t.Run(fmt.Sprint(slow), func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				store := &lazyStore{Store: sessionstore.Memory()}
				ended := make(chan error, 1)
				srv := newServer(t, hosting(bob, alice), func(ctx context.Context, s *e2e.Session) error {
					if err := s.Send(ctx, []byte("hello")); err != nil {
						return err
					}
					_, err := s.Receive(ctx)
					ended <- err
					return err
				})
				cfg := stored(trusting(alice, bob), store)
				cfg.StoreName = "client"
				c := (&road{srv: srv}).client(t, cfg)
				mustReceive(t, c, "hello")
				store.wait.Store(int64(slow)) // the next acknowledgement has to be stored
				began := time.Now()
				err := c.Close()
				if took := time.Since(began); took > 10*time.Second {
					t.Errorf("Close took %v", took)
				}
				if slow > 0 && err != nil {
					t.Errorf("Close: %v", err)
				}
				if there := <-ended; slow > 0 && !errors.Is(there, io.EOF) {
					t.Errorf("the other end: %v", there)
				}
				store.wait.Store(0)
			})
		})
	}
}

// Sends fail from the call of Close on, also those that wait for a connection, or for room.
func TestSendsFailOnceASessionCloses(t *testing.T) {
	for _, proof := range []e2e.Proof{e2e.ProofNone, e2e.ProofEd25519} {
		for _, unlinked := range []bool{false, true} {
			for _, store := range []bool{false, true} {
				t.Run(fmt.Sprint("proof ", proof, ", unlinked ", unlinked, ", stored ", store), func(t *testing.T) {
					bubble(t, func(t *testing.T) { sendsFailOnceClosing(t, proof, unlinked, store) })
				})
			}
		}
	}
}

func sendsFailOnceClosing(t *testing.T, proof e2e.Proof, unlinked, store bool) {
	server, client := hosting(bob, alice), trusting(alice, bob)
	server.Proof, client.Proof = proof, proof
	if store {
		client = stored(client, sessionstore.Memory())
		client.StoreName = "client"
	}
	srv := newServer(t, server, func(ctx context.Context, s *e2e.Session) error {
		<-ctx.Done() // and receives nothing
		return nil
	})
	v := &valve{}
	r := &road{srv: srv, atServer: func(c transport.Conn) transport.Conn { return v.behind(c, 2) }}
	c := r.client(t, client)
	v.shut()
	defer v.open()
	if unlinked {
		r.set(func(r *road) { r.closed = true })
		r.cut()
	}
	waits := make(chan error, 1)
	go func() {
		for {
			if err := c.Send(context.Background(), make([]byte, 60<<10)); err != nil {
				waits <- err
				return
			}
		}
	}()
	time.Sleep(time.Second)
	closed := make(chan error, 1)
	go func() { closed <- c.Close() }()
	synctest.Wait()
	select {
	case err := <-waits:
		if !errors.As(err, new(*e2e.CloseError)) {
			t.Errorf("the Send that waited: %v", err)
		}
	default:
		t.Error("the Send that waited still does")
	}
	late := make(chan error, 1)
	go func() { late <- c.Send(context.Background(), nil) }()
	synctest.Wait()
	if len(closed) > 0 {
		t.Error("Close did not wait")
	}
	if len(late) == 0 {
		t.Error("a Send behind Close waits")
	}
	<-closed
}

// A code other than CodeDone reaches the other end, also where nothing is waited for.
func TestCloseWithACode(t *testing.T) {
	for _, wait := range []bool{true, false} {
		c, s := over(t)
		ctx, cancel := context.WithCancel(t.Context())
		if !wait {
			cancel()
		}
		if err := c.CloseWith(ctx, e2e.CodeFailed); err != nil {
			t.Error(err)
		}
		wantEnd(t, s, e2e.CloseError{Code: e2e.CodeFailed, Remote: true}, false)
		cancel()
	}
}
