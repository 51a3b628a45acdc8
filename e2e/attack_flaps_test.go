package e2e_test

import (
	"context"
	"testing"
	"time"

	"github.com/hopseal/hopseal/e2e"
	"github.com/hopseal/hopseal/transport"
)

// dialsCutAfter cuts each connection of a road some time after it was made, for as long as the
// test runs, and returns when each was dialled.
func (r *road) dialsCutAfter(held time.Duration) (dial func(context.Context) (transport.Conn, error), dials *[]time.Time) {
	dials = new([]time.Time)
	return func(ctx context.Context) (transport.Conn, error) {
		conn, err := r.dial(ctx)
		r.set(func(*road) { *dials = append(*dials, time.Now()) })
		if err == nil {
			time.AfterFunc(held, conn.(*transport.PipeConn).Cut)
		}
		return conn, err
	}, dials
}

// talkFor has a client say something ten times a second, and returns what came back.
func talkFor(t *testing.T, d time.Duration, dial func(context.Context) (transport.Conn, error)) (echoed int, ticks int) {
	c, err := e2e.DialFunc(t.Context(), "road", trusting(alice, bob), dial)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for until := time.Now().Add(d); time.Now().Before(until); ticks++ {
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		if c.Send(ctx, []byte("hello")) == nil {
			if _, err := c.Receive(ctx); err == nil {
				echoed++
			}
		}
		<-ctx.Done()
		cancel()
	}
	return echoed, ticks
}

// A connection that was secure for some seconds counts: a network that cuts each after three
// costs the time of a first try, and not of one after many.
func TestCutsEveryThreeSecondsCostTheFirstWait(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := &road{srv: newServer(t, hosting(bob, alice), echo)}
		dial, dials := r.dialsCutAfter(3 * time.Second)
		echoed, ticks := talkFor(t, 2*time.Minute, dial)
		t.Logf("%d of %d came back, over %d connections", echoed, ticks, len(*dials))
		if len(*dials) < 28 || echoed < ticks*3/4 {
			t.Errorf("%d of %d came back, over %d connections", echoed, ticks, len(*dials))
		}
	})
}

// A server that lets a client come back and cuts it at once is not asked more often than one
// that is down.
func TestAServerThatFlapsIsLeftAlone(t *testing.T) {
	for _, held := range []time.Duration{time.Millisecond, time.Second} {
		bubble(t, func(t *testing.T) {
			r := &road{srv: newServer(t, hosting(bob, alice), echo)}
			dial, dials := r.dialsCutAfter(held)
			start := time.Now()
			talkFor(t, 20*time.Minute, dial)
			first := 0
			for _, at := range *dials {
				if at.Sub(start) < time.Minute {
					first++
				}
			}
			t.Logf("held for %v: %d dials in the first minute, %d in 20 minutes", held, first, len(*dials))
			// 20 minutes of waits of 15 s on average are 80.
			if n := len(*dials); first > 15 || n > 120 || n < 40 {
				t.Errorf("held for %v: %d dials in the first minute, %d in all", held, first, n)
			}
		})
	}
}

// MaxTries counts the dials since a connection that held: many that were cut after a while
// are no reason to give up, and a few that were cut at once are.
func TestMaxTriesCountsFromAConnectionThatHeld(t *testing.T) {
	for held, ends := range map[time.Duration]bool{3 * time.Second: false, time.Second: true} {
		bubble(t, func(t *testing.T) {
			r := &road{srv: newServer(t, hosting(bob, alice), echo)}
			dial, dials := r.dialsCutAfter(held)
			cfg := trusting(alice, bob)
			cfg.Retry.MaxTries = 4
			c, err := e2e.DialFunc(t.Context(), "road", cfg, dial)
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
			defer cancel()
			select {
			case <-c.Done():
			case <-ctx.Done():
			}
			if over := ctx.Err() == nil; over != ends || ends && len(*dials) != 5 {
				t.Errorf("held for %v: over %v, after %d dials", held, over, len(*dials))
			}
			c.Close()
		})
	}
}
