package e2e_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hopseal/hopseal/e2e"
	"github.com/hopseal/hopseal/e2e/mux"
	"github.com/hopseal/hopseal/e2e/sessionstore"
)

// A request that a server was serving when its process ended is refused by the next one, at
// once and with a type: its caller does not wait for somebody who is not there any more. One
// that had not been acknowledged is served.
func TestCallsAcrossARestart(t *testing.T) {
	for _, end := range []string{"killed", "shut down"} {
		t.Run(end, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				store := sessionstore.Memory()
				process := &leftBehind{Store: store}
				var served atomic.Int32
				router := func() *mux.Mux {
					m := mux.New()
					m.Handle("upper", upper)
					m.Handle("slow", func(ctx context.Context, _ *e2e.Request) ([]byte, error) {
						served.Add(1)
						<-ctx.Done()
						return nil, ctx.Err()
					})
					return m
				}
				first := newServer(t, stored(hosting(bob, alice), process), router().Serve)
				r := &road{srv: first}
				c := r.client(t, trusting(alice, bob))
				mustCall(t, c, "upper", "a", "A")
				const calls = 3
				results := make(chan error, calls)
				for range calls {
					go func() {
						_, err := c.Call(context.Background(), "slow", nil)
						results <- err
					}()
				}
				time.Sleep(time.Second) // they are served, and acknowledged
				if end == "killed" {
					process.gone.Store(true)
				} else {
					r.set(func(r *road) { r.closed = true })
					stop(t, first)
				}
				r.set(func(r *road) { r.closed = false })
				r.move(newServer(t, stored(hosting(bob, alice), store), router().Serve))
				began := time.Now()
				for range calls {
					err := <-results
					refused := new(e2e.RefusedError)
					if !errors.As(err, &refused) || refused.Reason != e2e.RefusedInterrupted {
						t.Errorf("a request whose process has ended: %v", err)
					}
				}
				if waited := time.Since(began); waited > 5*time.Second {
					t.Errorf("the callers were told after %v", waited)
				}
				if n := served.Load(); n != calls {
					t.Errorf("%d requests were served, and served again", n)
				}
				mustCall(t, c, "upper", "b", "B")
				synctest.Wait()
				// And no next process refuses again what has been refused or answered.
				r.move(newServer(t, stored(hosting(bob, alice), store), router().Serve))
				mustCall(t, c, "upper", "c", "C")
				c.Close()
			})
		})
	}
}

// However often the server moves and whatever is under way then, each Call is answered once,
// or refused because of that.
func TestCallsWhileTheServerMoves(t *testing.T) {
	bubble(t, func(t *testing.T) {
		store := sessionstore.Memory()
		node := func() *e2e.Server {
			m := mux.New()
			m.Handle("upper", func(ctx context.Context, r *e2e.Request) ([]byte, error) {
				select {
				case <-time.After(30 * time.Millisecond):
				case <-ctx.Done():
				}
				return upper(ctx, r)
			})
			return newServer(t, stored(hosting(bob, alice), store), m.Serve)
		}
		r := &road{srv: node()}
		c := r.client(t, trusting(alice, bob))
		var interrupted, answered int
		var mu sync.Mutex
		var callers sync.WaitGroup
		for n := range 8 {
			callers.Go(func() {
				for i := range 25 {
					want := fmt.Sprint("m", n, "-", i)
					ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
					got, err := c.Call(ctx, "upper", []byte(want))
					cancel()
					refused := new(e2e.RefusedError)
					mu.Lock()
					switch {
					case err == nil && string(got) == strings.ToUpper(want):
						answered++
					case errors.As(err, &refused) && refused.Reason == e2e.RefusedInterrupted:
						interrupted++
					default:
						t.Errorf("call %s: %q, %v", want, got, err)
					}
					mu.Unlock()
				}
			})
		}
		for range 10 {
			time.Sleep(150 * time.Millisecond)
			r.move(node())
		}
		callers.Wait()
		if t.Logf("%d answered, %d interrupted", answered, interrupted); interrupted == 0 {
			t.Error("no request was under way when its server moved")
		}
		c.Close()
	})
}
