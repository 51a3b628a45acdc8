package e2e_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hopseal/hopseal/e2e"
	"github.com/hopseal/hopseal/e2e/mux"
	"github.com/hopseal/hopseal/internal/engine"
	"github.com/hopseal/hopseal/internal/slowtest"
)

// Two honest ends never refuse each other a Call for its size, however large and many they
// are: who calls waits at this end.
func TestLargeCallsOfHonestEndsAllSucceed(t *testing.T) {
	calls := 64
	if slowtest.Mode {
		calls = 24
	}
	bubble(t, func(t *testing.T) {
		c, s := over(t)
		var work sync.WaitGroup
		for _, end := range []*e2e.Session{c, s} {
			router := mux.New()
			router.Handle("echo", func(_ context.Context, r *e2e.Request) ([]byte, error) {
				time.Sleep(10 * time.Millisecond)
				return r.Data, nil
			})
			serving(t, end, router)
			for range calls {
				work.Go(func() {
					answer, err := end.Call(context.Background(), "echo", make([]byte, e2e.DefaultMaxMessage))
					if err != nil || len(answer) != e2e.DefaultMaxMessage {
						t.Errorf("%d bytes, %v", len(answer), err)
					}
				})
			}
		}
		work.Wait()
	})
}

// However the sizes of calls follow one another, and whoever comes first, none is refused.
func TestCallsOfAllSizesAreNotRefused(t *testing.T) {
	each := 50
	if slowtest.Mode {
		each = 12
	}
	bubble(t, func(t *testing.T) {
		c, s := overAs(t, func(c *e2e.Config, s *e2e.ServerConfig) { c.Window, s.Window = engine.MinWindow, engine.MinWindow })
		router := mux.New()
		router.Handle("", func(context.Context, *e2e.Request) ([]byte, error) {
			time.Sleep(time.Millisecond)
			return nil, nil
		})
		serving(t, s, router)
		var work sync.WaitGroup
		for i := range 64 {
			r := rand.New(rand.NewPCG(1, uint64(i)))
			work.Go(func() {
				for range each {
					size := []int{0, 100, 10_000, 40_000, 64_000, 200_000}[r.IntN(6)]
					if _, err := c.Call(context.Background(), "", make([]byte, size)); err != nil {
						t.Errorf("%d bytes: %v", size, err)
					}
				}
			})
		}
		work.Wait()
	})
}

// A56: an end with a smaller Window refuses what it does not want to hold, and the session
// goes on.
func TestA56CallsBeyondASmallerWindowAreRefused(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c, s := overAs(t, func(_ *e2e.Config, s *e2e.ServerConfig) { s.Window = engine.MinWindow })
		router := mux.New()
		router.Handle("slow", func(context.Context, *e2e.Request) ([]byte, error) {
			time.Sleep(time.Second)
			return nil, nil
		})
		serving(t, s, router)
		var busy, answered atomic.Int32
		var work sync.WaitGroup
		for range 10 {
			work.Go(func() {
				_, err := c.Call(context.Background(), "slow", make([]byte, 60_000))
				var refused *e2e.RefusedError
				switch {
				case err == nil:
					answered.Add(1)
				case errors.As(err, &refused) && refused.Reason == e2e.RefusedBusy:
					busy.Add(1)
				default:
					t.Error(err)
				}
			})
		}
		work.Wait()
		if answered.Load() != 2 || busy.Load() != 8 { // one of less than the window, and one more
			t.Errorf("%d answered, %d refused", answered.Load(), busy.Load())
		}
		if _, err := c.Call(t.Context(), "slow", make([]byte, 60_000)); err != nil {
			t.Errorf("with all answered: %v", err)
		}
	})
}

// A Call that is given up counts until it is answered, since the other end holds it until then;
// those behind it wait, or give up too, and nothing of them counts.
func TestCallGivenUpCountsUntilItIsAnswered(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c, s := over(t)
		router := mux.New()
		router.Handle("slow", func(context.Context, *e2e.Request) ([]byte, error) {
			time.Sleep(10 * time.Second)
			return nil, nil
		})
		serving(t, s, router)
		start := time.Now()
		for range 3 { // the first one is sent, the others are not
			ctx, cancel := context.WithTimeout(context.Background(), time.Second)
			if _, err := c.Call(ctx, "slow", make([]byte, e2e.DefaultMaxMessage)); err != context.DeadlineExceeded {
				t.Errorf("Call: %v", err)
			}
			cancel()
		}
		if _, err := c.Call(context.Background(), "slow", make([]byte, e2e.DefaultMaxMessage)); err != nil {
			t.Errorf("Call: %v", err)
		}
		if took := time.Since(start).Round(time.Second); took != 20*time.Second {
			t.Errorf("answered after %v, want that one was served before", took)
		}
	})
}

// Calls that wait for their turn end with the session.
func TestCallsThatWaitEndWithTheSession(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c, s := over(t)
		ended := make(chan error, 3)
		for range 3 {
			go func() {
				_, err := c.Call(context.Background(), "", make([]byte, e2e.DefaultMaxMessage))
				ended <- err
			}()
		}
		synctest.Wait()
		s.Close()
		for range 3 {
			var closed *e2e.CloseError
			if err := <-ended; !errors.As(err, &closed) {
				t.Errorf("Call: %v", err)
			}
		}
	})
}
