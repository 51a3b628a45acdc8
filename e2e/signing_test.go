package e2e_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hopseal/hopseal/e2e"
	"github.com/hopseal/hopseal/e2e/sessionstore"
	"github.com/hopseal/hopseal/keys"
	"github.com/hopseal/hopseal/transport"
)

// dead returns an identity whose Signer does not answer while it is told so.
func dead(t testing.TB) (id *keys.Identity, asked *atomic.Int32, hold func() (release func())) {
	t.Helper()
	signer := &faultySigner{Signer: newIdentity("slow").Signer()}
	id, err := keys.GenerateIdentityWith("slow", newIdentity("root").Signer(), signer)
	if err != nil {
		t.Fatal(err)
	}
	asked = new(atomic.Int32)
	return id, asked, func() func() {
		wait := make(chan struct{})
		signer.set(func(m []byte) ([]byte, error) {
			asked.Add(1)
			<-wait
			return signer.Signer.Sign(m)
		})
		return func() { signer.set(nil); close(wait) }
	}
}

// A58: a Send waits for a Signer no longer than its context lasts, nor does the end of a session,
// with a store and without; when the Signer is back the session goes on, and nothing was sent
// that was given up.
func TestA58SendDoesNotOutlastItsContextInASigner(t *testing.T) {
	for _, kept := range []bool{false, true} {
		bubble(t, func(t *testing.T) {
			id, _, hold := dead(t)
			scfg, ccfg := hosting(bob, id), trusting(id, bob)
			signed(&ccfg, &scfg)
			if kept {
				ccfg = stored(ccfg, sessionstore.Memory())
				ccfg.StoreName = "slow"
			}
			heard := make(chan string, 10)
			r := &road{srv: newServer(t, scfg, func(ctx context.Context, s *e2e.Session) error {
				for {
					m, err := s.Receive(ctx)
					if err != nil {
						return err
					}
					heard <- string(m)
				}
			})}
			c := r.client(t, ccfg)
			release := hold()
			start := time.Now()
			for range 3 {
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				if err := c.Send(ctx, []byte("given up")); err != context.DeadlineExceeded {
					t.Errorf("Send: %v", err)
				}
				if _, err := c.Call(ctx, "given up", nil); err != context.DeadlineExceeded {
					t.Errorf("Call: %v", err)
				}
				cancel()
			}
			if took := time.Since(start); took != 3*time.Second {
				t.Errorf("took %v", took)
			}
			release()
			mustSend(t, c, "sent")
			if got := <-heard; got != "sent" {
				t.Errorf("heard %q", got)
			}
			defer hold()()
			ended := make(chan error)
			go func() { ended <- c.Send(context.Background(), nil) }()
			synctest.Wait()
			c.Close()
			if err := <-ended; !errors.As(err, new(*e2e.CloseError)) {
				t.Errorf("Send, at the end of the session: %v", err)
			}
		})
	}
}

// A58: a handshake waits for a Signer no longer than its deadline, and however many clients come
// while the Signer does not answer, no more are waiting for it than handshakes are allowed.
func TestA58HandshakesDoNotOutlastADeadSigner(t *testing.T) {
	bubble(t, func(t *testing.T) {
		id, asked, hold := dead(t)
		cfg := hosting(id, alice)
		cfg.MaxHandshakes = 4
		srv := newServer(t, cfg, echo)
		release := hold()
		for range 20 {
			a, b := transport.Pipe()
			result := serve(srv, b)
			start := time.Now()
			if _, err := e2e.Connect(t.Context(), a, "", trusting(alice, id)); err == nil {
				t.Fatal("a handshake that is not signed")
			}
			wantHandshake(t, <-result, e2e.ReasonTimeout)
			if took := time.Since(start); took > e2e.DefaultHandshakeTimeout {
				t.Errorf("took %v", took)
			}
		}
		if n := asked.Load(); n != 4 {
			t.Errorf("the Signer was asked %d times at once, want 4", n)
		}
		release()
		synctest.Wait()
		a, b := transport.Pipe()
		serve(srv, b)
		c, err := e2e.Connect(t.Context(), a, "", trusting(alice, id))
		if err != nil {
			t.Fatalf("once the Signer is back: %v", err)
		}
		mustSend(t, c, "hello")
		mustReceive(t, c, "hello")
		c.Close()
	})
}
