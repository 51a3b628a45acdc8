//go:build !js

package e2e_test

import (
	"context"
	"encoding/binary"
	"math/rand/v2"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hopseal/hopseal/e2e"
	"github.com/hopseal/hopseal/internal/hostile"
	"github.com/hopseal/hopseal/transport"
)

// cutsScript ends a link in one of the ways of a broken network, or of a hop that
// changes a message, somewhere within the handshake, what is sent again, or what
// follows.
func cutsScript(rng *rand.Rand) hostile.Script {
	nth := 1 + rng.IntN(5)
	if rng.IntN(2) == 0 {
		nth = 1 + rng.IntN(400)
	}
	ways := []hostile.Fault{hostile.Cut, hostile.CutWithin, hostile.Reset, hostile.Flip, hostile.Drop, hostile.Repeat, hostile.Stall, cutAfter}
	fault := hostile.FromNth(nth, ways[rng.IntN(len(ways))])
	if rng.IntN(2) == 0 {
		return hostile.Frames(fault, nil)
	}
	return hostile.Frames(nil, fault)
}

// A tally sends numbered messages at one end and counts what comes at the other.
type tally struct {
	sent, received atomic.Uint64
}

// send goes on until enough says so, and is done when all has arrived.
func (y *tally) send(t *testing.T, s *e2e.Session, rng *rand.Rand, enough func(n uint64) bool) {
	for n := uint64(1); !enough(n); n++ {
		message := binary.BigEndian.AppendUint64(nil, n)
		if err := s.Send(context.Background(), append(message, make([]byte, rng.IntN(300))...)); err != nil {
			t.Errorf("message %d: %v", n, err)
			return
		}
		y.sent.Store(n)
	}
	if err := s.Flush(context.Background()); err != nil {
		t.Errorf("Flush: %v", err)
	}
}

func (y *tally) receive(t *testing.T, s *e2e.Session) {
	for {
		message, err := s.Receive(context.Background())
		if err != nil {
			return
		}
		if n := binary.BigEndian.Uint64(message); n != y.received.Add(1) {
			t.Errorf("message %d came in the place of %d", n, y.received.Load())
			return
		}
	}
}

// Over many links that break in every way, each message arrives once and in order.
func TestA15NothingIsLostOverManyCuts(t *testing.T) {
	messages, cuts := uint64(10_000), 50
	switch {
	case os.Getenv("HOPSEAL_LONG_TESTS") != "":
		messages, cuts = 1_000_000, 1_000
	case testing.Short():
		messages, cuts = 2_000, 10
	}
	var up, down tally
	done := make(chan struct{})
	var server sync.WaitGroup
	var hop *hostile.Proxy
	enough := func(n uint64) bool {
		links, _ := hop.Links()
		return n > messages && links > cuts
	}
	runs := 0
	scfg, ccfg := trusting(bob, alice), trusting(alice, bob)
	ccfg.Retry = transport.Retry{Base: time.Millisecond, Cap: 20 * time.Millisecond}
	scfg.HandshakeTimeout, ccfg.HandshakeTimeout = time.Second, time.Second
	scfg.KeepAlive, ccfg.KeepAlive = 200*time.Millisecond, 200*time.Millisecond
	srv := newServer(t, scfg, func(ctx context.Context, s *e2e.Session) error {
		runs++
		server.Go(func() { down.send(t, s, rand.New(rand.NewPCG(7, 2)), enough) })
		up.receive(t, s)
		return nil
	})
	plan := hostile.Seeded(11, cutsScript)
	hop = hostile.Listen(t, listen(t, srv), func(n int) hostile.Script {
		select {
		case <-done:
			return hostile.Script{}
		default:
		}
		if n == 0 { // the first one holds: Dial does not try again
			return hostile.Frames(hostile.FromNth(300, hostile.Cut), nil)
		}
		return plan(n)
	})
	c := mustDialAs(t, hop.URL(), ccfg)
	var client sync.WaitGroup
	client.Go(func() { down.receive(t, c) })
	up.send(t, c, rand.New(rand.NewPCG(7, 1)), enough)
	server.Wait()
	close(done)
	links, _ := hop.Links()
	c.Close()
	client.Wait()
	if err := srv.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	t.Logf("%d links; %d messages up, %d down", links, up.sent.Load(), down.sent.Load())
	if up.received.Load() != up.sent.Load() || down.received.Load() != down.sent.Load() || runs != 1 {
		t.Errorf("%d of %d messages up, %d of %d down, in %d runs", up.received.Load(), up.sent.Load(), down.received.Load(), down.sent.Load(), runs)
	}
}
