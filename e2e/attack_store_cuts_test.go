package e2e_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hopseal/hopseal/e2e"
	"github.com/hopseal/hopseal/e2e/sessionstore"
	"github.com/hopseal/hopseal/transport/redial"
)

// Sessions that are stored get on, on a network that cuts each connection within 20 ms, like
// others do: what has to be stored for a resume, and with each message, does not grow with
// what has not been acknowledged. Without that they got one message through for 200 of
// others, because a resume took longer than its connection lived. One of three tries has to
// show it: a machine that is busy with something else for a second slows one side down.
func TestStoredSessionsUnderCuts(t *testing.T) {
	for _, way := range []string{"up", "down"} {
		getsOn := false
		for try := 0; try < 3 && !getsOn; try++ {
			plain := messagesUnderCuts(t, way, nil)
			kept := messagesUnderCuts(t, way, sessionstore.Memory())
			t.Logf("%s: %d messages, %d where sessions are stored", way, plain, kept)
			getsOn = kept >= plain/8
		}
		if !getsOn {
			t.Errorf("%s: hardly a message of stored sessions gets through where others do", way)
		}
	}
}

// messagesUnderCuts returns how many messages of 100 kB get through in a second, from eight
// who send at a time.
func messagesUnderCuts(t *testing.T, way string, store sessionstore.Store) int64 {
	t.Helper()
	var n atomic.Int64
	send := func(ctx context.Context, s *e2e.Session) error {
		for range 8 {
			go func() {
				for s.Send(ctx, make([]byte, 100_000)) == nil {
				}
			}()
		}
		<-ctx.Done()
		return nil
	}
	receive := func(ctx context.Context, s *e2e.Session) error {
		for {
			if _, err := s.Receive(ctx); err != nil {
				return err
			}
			n.Add(1)
		}
	}
	atClient, atServer := send, receive
	if way == "down" {
		atClient, atServer = receive, send
	}
	scfg, ccfg := hosting(bob, alice), trusting(alice, bob)
	scfg.Window, ccfg.Window = 16<<20, 16<<20
	if store != nil {
		scfg, ccfg = stored(scfg, store), stored(ccfg, store)
		ccfg.StoreName = "cuts"
	}
	ccfg.Retry = redial.Policy{Base: time.Millisecond, Cap: 5 * time.Millisecond}
	r := &road{srv: newServer(t, scfg, atServer)}
	c := r.client(t, ccfg)
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	done := make(chan struct{})
	go func() {
		defer close(done)
		atClient(ctx, c)
	}()
	for ctx.Err() == nil {
		time.Sleep(20 * time.Millisecond)
		r.cut()
	}
	got := n.Load()
	c.Close()
	<-done
	return got
}
