package e2e_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hopseal/hopseal/e2e"
	"github.com/hopseal/hopseal/e2e/mux"
	"github.com/hopseal/hopseal/e2e/sessionstore"
	"github.com/hopseal/hopseal/transport"
)

// flood writes a stream for as long as that goes, and counts what it was rid of.
func flood(w *e2e.StreamWriter, written *int) <-chan error {
	stopped := make(chan error, 1)
	go func() {
		for {
			n, err := w.Write(make([]byte, 10_000))
			if *written += n; err != nil {
				stopped <- err
				return
			}
		}
	}()
	return stopped
}

// A stream that nobody reads, whether it was accepted or not, holds up its own writer and
// nothing else, for as long as it stays so.
func TestA34AnUnreadStreamHoldsUpOnlyItsWriter(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c, s := over(t)
		router := mux.New()
		router.Handle("ping", func(context.Context, *e2e.Request) ([]byte, error) { return []byte("pong"), nil })
		heard := 0
		router.Handle("note", func(context.Context, *e2e.Request) ([]byte, error) { heard++; return nil, nil })
		served := make(chan error, 1)
		go func() { served <- router.Serve(t.Context(), s) }()
		unread, refused := mustOpenStream(t, c), mustReceiveStream(t, s)
		unseen := mustOpenStream(t, c)
		var written [2]int
		stopped, other := flood(unread, &written[0]), flood(unseen, &written[1])
		synctest.Wait()
		for minute := range 10 {
			for range 200 {
				if _, err := c.SendMessage(t.Context(), "note", make([]byte, 10_000)); err != nil {
					t.Fatal(err)
				}
			}
			if pong, err := c.Call(t.Context(), "ping", make([]byte, 10_000)); err != nil || string(pong) != "pong" {
				t.Fatalf("Call: %q, %v", pong, err)
			}
			if minute == 0 { // it was opened before those that follow, so it is accepted first
				defer mustReceiveStream(t, s).Close()
			}
			mustPassStream(t, c, s, 3<<20)
			mustPassStream(t, s, c, 3<<20)
			time.Sleep(e2e.DefaultSendTimeout)
		}
		if heard != 2000 {
			t.Errorf("%d messages of 2,000 were served", heard)
		}
		synctest.Wait()
		for i, n := range written {
			if n > 16<<10 {
				t.Errorf("%d bytes of stream %d were taken, and none read", n, i)
			}
		}
		got := make([]byte, 100_000) // whoever reads at last gets it on
		if _, err := io.ReadFull(refused, got); err != nil {
			t.Fatal(err)
		}
		unread.Abort()
		unseen.Abort()
		<-stopped
		<-other
		c.Close()
		<-served
	})
}

// mustPassStream sends a stream from one end to the other, and has it take no time: on a
// clock that stands still while anybody works, only what waits takes some.
func mustPassStream(t *testing.T, from, to *e2e.Session, size int) {
	t.Helper()
	sent, start := make(chan error, 1), time.Now()
	data := randomBytes(7, size)
	go func() { sent <- from.SendStream(t.Context(), "file", bytes.NewReader(data), nil) }()
	got, err := io.ReadAll(mustReceiveStream(t, to))
	if err != nil || !bytes.Equal(got, data) {
		t.Fatalf("%d of %d bytes, %v", len(got), size, err)
	}
	if err := <-sent; err != nil {
		t.Fatal(err)
	}
	if took := time.Since(start); took > time.Second {
		t.Errorf("a stream of %d bytes took %v", size, took)
	}
}

// Streams go on over one link after the other, both ways, while their credit runs out and
// comes again: no byte and no credit is lost or counted twice.
func TestA15StreamsOverLinksThatFail(t *testing.T) {
	const streams, size = 6, 2 << 20
	bubble(t, func(t *testing.T) {
		rd := &road{srv: newServer(t, withQuickCuts(hosting(bob, alice)), returnStreams)}
		c := rd.client(t, withQuickCuts(trusting(alice, bob)))
		var all sync.WaitGroup
		for n := range uint64(streams) {
			all.Go(func() {
				if err := c.SendStream(t.Context(), string(rune('a'+n)), &slowly{bytes.NewReader(randomBytes(n, size))}, nil); err != nil {
					t.Errorf("SendStream %d: %v", n, err)
				}
			})
			all.Go(func() {
				r := mustReceiveStream(t, c)
				got, err := io.ReadAll(&slowly{r})
				if n := uint64(r.Type[0] - 'a'); err != nil || !bytes.Equal(got, randomBytes(n, size)) {
					t.Errorf("stream %d: %d bytes, %v", n, len(got), err)
				}
			})
		}
		over := make(chan struct{})
		go func() { defer close(over); all.Wait() }()
		cuts := 0
		for going := true; going; {
			select {
			case <-over:
				going = false
			case <-time.After(rand.N(20 * time.Millisecond)):
				rd.cut()
				cuts++
			}
		}
		t.Logf("%d cuts, %d links", cuts, rd.links())
		if rd.links() < 20 {
			t.Errorf("%d links", rd.links())
		}
		c.Close()
	})
}

// returnStreams sends each stream back while it comes.
func returnStreams(ctx context.Context, s *e2e.Session) error {
	for {
		r, err := s.ReceiveStream(ctx)
		if err != nil {
			return err
		}
		go s.SendStream(ctx, r.Type, r, nil)
	}
}

// slowly reads little, at random times.
type slowly struct{ io.Reader }

func (s *slowly) Read(p []byte) (int, error) {
	time.Sleep(rand.N(10 * time.Millisecond))
	return s.Reader.Read(p[:min(len(p), 1+rand.IntN(30_000))])
}

// A52: a stream to an end that is stored is refused, and its sender never takes it for one
// that has arrived, however small it is and whenever the link fails.
func TestA52StreamsThatAStoredEndRefuses(t *testing.T) {
	bubble(t, func(t *testing.T) {
		rd := &road{srv: newServer(t, withQuickCuts(stored(hosting(bob, alice), sessionstore.Memory())), echo)}
		rd.each = func() []transport.PipeOption { // each link ends with a frame that the server has sent
			return []transport.PipeOption{transport.WithFaults(nil, numbered(3+rand.IntN(6), func([]byte) [][]byte { return nil }))}
		}
		c := rd.client(t, withQuickCuts(trusting(alice, bob)))
		for n := range 200 {
			var given *e2e.StreamError
			if err := c.SendStream(t.Context(), "", bytes.NewReader(make([]byte, n%3)), nil); !errors.As(err, &given) || !given.Remote {
				t.Fatalf("stream %d: %v", n, err)
			}
		}
		mustSend(t, c, "still here")
		mustReceive(t, c, "still here")
		c.Close()
	})
}

// A stored end that dies with a stream half refused refuses it in its next process, and
// nothing between its parts is lost.
func TestStreamsOfAStoredEndThatIsRestarted(t *testing.T) {
	bubble(t, func(t *testing.T) {
		store := sessionstore.Memory()
		cfg := withQuickCuts(stored(hosting(bob, alice), store))
		rd := &road{srv: newServer(t, cfg, echo)}
		rd.faults = []transport.PipeOption{}
		c := rd.client(t, withQuickCuts(trusting(alice, bob)))
		for round := range 20 {
			w, err := c.OpenStream(t.Context(), "", nil)
			if err != nil {
				t.Fatal(err)
			}
			for range 3 {
				mustSend(t, c, "between")
				w.Write([]byte("some of it"))
			}
			old, next := rd.srv, newServer(t, cfg, echo)
			rd.set(func(r *road) { r.srv = next })
			if round%2 == 0 {
				rd.cut()
			} else {
				stop(t, old)
			}
			var given *e2e.StreamError
			if err := w.Finish(); !errors.As(err, &given) || !given.Remote {
				t.Fatalf("Finish: %v", err)
			}
			for range 3 {
				mustReceive(t, c, "between")
			}
		}
		c.Close()
	})
}
