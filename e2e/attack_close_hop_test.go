//go:build !js

package e2e_test

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hopseal/hopseal/e2e"
	"github.com/hopseal/hopseal/internal/hostile"
	"github.com/hopseal/hopseal/internal/slowtest"
)

// A farewell is a session in which one end sends some messages and closes, while a hop
// breaks whatever it can.
type farewell struct {
	mu   sync.Mutex
	ends map[string]chan received // of sessions, at the server
}

func (f *farewell) end(id string) chan received {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.ends[id] == nil {
		f.ends[id] = make(chan received, 1)
	}
	return f.ends[id]
}

// serve does what the first message says: it sends so many messages, or receives them all.
func (f *farewell) serve(ctx context.Context, s *e2e.Session) error {
	first, err := s.Receive(ctx)
	if err != nil {
		f.end(s.Info().ID) <- received{messages: -1, err: err} // the first one is missing too
		return err
	}
	if count := int(binary.BigEndian.Uint32(first)); count > 0 {
		sent, err := sendCounted(s, count, rand.New(rand.NewPCG(1, uint64(count))))
		go func() {
			<-s.Done()
			f.end(s.Info().ID) <- received{messages: sent, err: errors.Join(err, s.Close())}
		}()
		return err
	}
	f.end(s.Info().ID) <- receiveAll(s)
	return nil
}

// sendCounted sends messages until there are enough, or the session is over, and returns how
// many it took.
func sendCounted(s *e2e.Session, count int, rng *rand.Rand) (sent int, err error) {
	for n := range count {
		size := rng.IntN(300)
		if rng.IntN(200) == 0 {
			size = rng.IntN(200_000)
		}
		if err := s.Send(context.Background(), countedMessage(n+1, size)); err != nil {
			return n, err
		}
	}
	return count, nil
}

// run has one end send, by chance, and reports whether the other one has seen the end.
func (f *farewell) run(t *testing.T, c *e2e.Session, count int, rng *rand.Rand) bool {
	if rng.IntN(2) == 0 {
		return f.from(t, c, count)
	}
	return f.to(t, c, count, rng)
}

// from has the server send, and the client receive up to the end.
func (f *farewell) from(t *testing.T, c *e2e.Session, count int) bool {
	if err := c.Send(t.Context(), binary.BigEndian.AppendUint32(nil, uint32(count))); err != nil {
		return false
	}
	got := receiveAll(c)
	sent := <-f.end(c.Info().ID)
	if sent.messages > 0 { // else the question has not arrived
		wantComplete(t, sent.messages, sent.err, got)
	}
	return errors.Is(got.err, io.EOF)
}

// to has the client send and close.
func (f *farewell) to(t *testing.T, c *e2e.Session, count int, rng *rand.Rand) bool {
	err := c.Send(t.Context(), binary.BigEndian.AppendUint32(nil, 0))
	sent := 0
	if err == nil {
		sent, err = sendCounted(c, count, rng)
	}
	closed := errors.Join(err, c.Close())
	wantComplete(t, sent, closed, <-f.end(c.Info().ID))
	return closed == nil
}

// A52: over links that a hop breaks all the time, in handshakes, in what is sent again and
// in farewells, with attempts that it holds back, each session that ends in order is whole,
// and each Close that says so is right.
func TestA52NothingIsCutShortOverManyCuts(t *testing.T) {
	slowtest.Skip(t)
	messages := 20_000
	if longTests() {
		messages = 1_000_000
	}
	f := &farewell{ends: map[string]chan received{}}
	cfg := withQuickCuts(hosting(bob, alice))
	cfg.SendTimeout, cfg.ParkTimeout = 10*time.Second, 20*time.Second
	srv := newServer(t, cfg, f.serve)
	plan := hostile.Seeded(52, soak{span: 300}.script)
	hop := hostile.Listen(t, listen(t, srv), plan)
	var sessions, complete, total atomic.Int64
	var clients sync.WaitGroup
	for n := range 8 {
		clients.Go(func() {
			rng := rand.New(rand.NewPCG(5, uint64(n)))
			for total.Load() < int64(messages) && !t.Failed() {
				c, err := e2e.Dial(t.Context(), hop.URL(), quickClient())
				if err != nil { // cut within the handshake
					continue
				}
				count := 1 + rng.IntN(400)
				sessions.Add(1)
				total.Add(int64(count))
				if f.run(t, c, count, rng) {
					complete.Add(1)
				}
				c.Close()
			}
		})
	}
	clients.Wait()
	links, _ := hop.Links()
	t.Logf("%d messages in %d sessions over %d links; %d sessions complete", total.Load(), sessions.Load(), links, complete.Load())
	// A loaded machine may miss limits of time, which ends a session at both ends.
	if complete.Load() < sessions.Load()/2 || int64(links) < sessions.Load() {
		t.Errorf("%d of %d sessions complete, over %d links", complete.Load(), sessions.Load(), links)
	}
}

func quickClient() e2e.Config { return withQuickCuts(trusting(alice, bob)) }
