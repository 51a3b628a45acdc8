package e2e_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hopseal/hopseal/e2e"
	"github.com/hopseal/hopseal/transport"
)

// piece is the size in bytes of a frame that carries a full piece of a message.
const piece = 64<<10 + 17

// mixed returns a message in which no piece is like another.
func mixed(n int) []byte {
	b := make([]byte, n)
	rand.NewChaCha8([32]byte{byte(n)}).Read(b)
	return b
}

// sluggish is a Conn that takes its time for large frames.
type sluggish struct {
	transport.Conn
	each time.Duration
}

func (s sluggish) Write(ctx context.Context, frame []byte) error {
	if len(frame) == piece {
		select {
		case <-time.After(s.each):
		case <-ctx.Done():
		}
	}
	return s.Conn.Write(ctx, frame)
}

// overSluggish is over with a client whose large frames take so long each.
func overSluggish(t testing.TB, each time.Duration) (client, server *e2e.Session) {
	t.Helper()
	a, b := transport.Pipe()
	return establish(t, sluggish{a, each}, b)
}

// numberedOfAll is numbered for links that follow one another.
func numberedOfAll(n int, change func(frame []byte) [][]byte) transport.Fault {
	var mu sync.Mutex
	fault := numbered(n, change)
	return func(frame []byte) [][]byte {
		mu.Lock()
		defer mu.Unlock()
		return fault(frame)
	}
}

// A message whose link fails at any of its pieces, in any way, arrives once, and those
// before and behind it in their order.
func TestA15PiecesOverFailingLinks(t *testing.T) {
	for name, fault := range map[string]func(frame []byte) [][]byte{
		"drop":   func([]byte) [][]byte { return nil },
		"flip":   func(frame []byte) [][]byte { frame[len(frame)/2] ^= 1; return [][]byte{frame} },
		"retype": func(frame []byte) [][]byte { frame[0] ^= 1 ^ 5; return [][]byte{frame} },
		"cut":    func(frame []byte) [][]byte { return [][]byte{frame[:len(frame)/2]} },
		"repeat": func(frame []byte) [][]byte { return [][]byte{frame, bytes.Clone(frame)} },
	} {
		for nth := 4; nth < 10; nth++ {
			if name != "drop" && nth != 6 {
				continue
			}
			t.Run(fmt.Sprint(name, " ", nth), func(t *testing.T) {
				bubble(t, func(t *testing.T) {
					r := &road{srv: newServer(t, hosting(bob, alice), echo)}
					r.faults = []transport.PipeOption{transport.WithFaults(numberedOfAll(nth, fault), numberedOfAll(nth+1, fault))}
					c := r.client(t, trusting(alice, bob))
					want := [][]byte{[]byte("before"), mixed(140_000), []byte("between"), mixed(70_000), []byte("behind")}
					for i, message := range want {
						if err := c.Send(t.Context(), message); err != nil {
							t.Fatal(err)
						}
						if i == 3 {
							r.cut()
						}
					}
					got := []byte("x")
					for i, message := range want {
						var err error
						if got, err = c.AppendReceive(t.Context(), got[:1]); err != nil || !bytes.Equal(got[1:], message) {
							t.Fatalf("message %d: %d bytes of %d, %v", i, len(got)-1, len(message), err)
						}
					}
					if r.links() < 2 {
						t.Error("no link failed")
					}
					c.Close()
				})
			})
		}
	}
}

// On a slow link a long message keeps neither acks nor keep-alives from passing, and is
// given time for each of its pieces.
func TestControlPassesBetweenPieces(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c, s := overSluggish(t, 40*time.Second)
		sent := make(chan error, 1)
		go func() { sent <- c.Send(context.Background(), mixed(1<<20)) }() // ten minutes
		time.Sleep(time.Second)
		mustSend(t, s, "meanwhile")
		mustReceive(t, c, "meanwhile")
		start := time.Now()
		if err := s.Flush(t.Context()); err != nil || time.Since(start) > 41*time.Second {
			t.Errorf("the ack took %v: %v", time.Since(start), err)
		}
		go c.Receive(context.Background())
		got, err := s.Receive(t.Context())
		if err != nil || !bytes.Equal(got, mixed(1<<20)) {
			t.Fatalf("%d bytes, %v", len(got), err)
		}
		if err := <-sent; err != nil || time.Since(start) < 10*time.Minute {
			t.Errorf("sent after %v: %v", time.Since(start), err)
		}
		c.Close()
	})
}

// A34: a peer that stops reading in the middle of a message is cut in a set time.
func TestA34PeerStopsWithinAMessage(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c, _ := overDeaf(t, transport.WithBuffer(3))
		start := time.Now()
		if err := c.Send(t.Context(), mixed(1<<20)); !errors.Is(err, e2e.ErrStalled) {
			t.Errorf("Send: %v", err)
		}
		if waited := time.Since(start); waited != e2e.DefaultSendTimeout {
			t.Errorf("cut after %v", waited)
		}
	})
}

// A15: what there is of a message whose end does not come reaches no application,
// whether somebody receives or the session reads by itself.
func TestA15InterruptedMessageIsDropped(t *testing.T) {
	for _, receiving := range []bool{true, false} {
		bubble(t, func(t *testing.T) {
			c, s := overSluggish(t, time.Second)
			ctx, cancel := context.WithTimeout(t.Context(), 3500*time.Millisecond)
			defer cancel()
			var work sync.WaitGroup
			receive := func() {
				dst, err := s.AppendReceive(context.Background(), []byte("mine"))
				if string(dst) != "mine" || !errors.Is(err, e2e.ErrTruncated) || errors.Is(err, io.EOF) {
					t.Errorf("receiving %v: %d bytes, %v", receiving, len(dst), err)
				}
			}
			if receiving {
				work.Go(receive)
			}
			c.Send(ctx, mixed(1<<20))
			synctest.Wait()
			if !receiving {
				receive()
			}
			work.Wait()
		})
	}
}

// A52: a Close does not wait for ever for the end of a message. Then neither end takes the
// session for complete, and both learn what is missing.
func TestA52CloseWithinAMessage(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c, s := overSluggish(t, time.Second)
		sent := make(chan error, 1)
		go func() { sent <- c.Send(context.Background(), mixed(1<<20)) }()
		time.Sleep(3500 * time.Millisecond)
		var closed *e2e.CloseError
		if err := c.Close(); !errors.As(err, &closed) || closed.Code != e2e.CodeIncomplete || closed.Gap.Count != 1 {
			t.Errorf("Close: %v", err)
		}
		if err := <-sent; err == nil {
			t.Error("Send says that it is done")
		}
		wantEnd(t, s, e2e.CloseError{Remote: true, Code: e2e.CodeIncomplete}, false)
		if _, err := s.Receive(t.Context()); !errors.As(err, &closed) || closed.Missing != 1 {
			t.Errorf("the other end: %v", err)
		}
	})
}

// A message above the receiver's limit ends the session with a reason, instead of
// coming again on the next link, and again.
func TestMessageAboveTheOtherEndsLimit(t *testing.T) {
	for _, size := range []int{100_001, 1 << 20} {
		bubble(t, func(t *testing.T) {
			ends := make(chan error, 1)
			cfg := hosting(bob, alice)
			cfg.MaxMessage = 100_000
			r := &road{srv: newServer(t, cfg, func(ctx context.Context, s *e2e.Session) error {
				_, err := s.Receive(ctx)
				ends <- err
				return err
			})}
			c := r.client(t, trusting(alice, bob))
			if err := c.Send(t.Context(), mixed(size)); err != nil {
				t.Logf("Send: %v", err)
			}
			if err := <-ends; !errors.Is(err, e2e.ErrTooLarge) {
				t.Errorf("%d bytes: the server's session ended with %v", size, err)
			}
			if gap := gapOf(t, c, e2e.ErrTruncated); gap.Count != 1 || r.links() > 5 {
				t.Errorf("%d bytes: %v, after %d links", size, gap, r.links())
			}
		})
	}
}

// A Receive that gives up while the session reads a long message by itself costs
// nothing.
func TestGivingUpWithinAMessage(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c, s := overSluggish(t, time.Second)
		time.Sleep(time.Second) // s reads by itself
		sent := make(chan error, 1)
		go func() { sent <- c.Send(context.Background(), mixed(1<<20)) }()
		time.Sleep(3500 * time.Millisecond)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := s.Receive(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Receive: %v", err)
		}
		if got, err := s.Receive(t.Context()); err != nil || !bytes.Equal(got, mixed(1<<20)) {
			t.Errorf("%d bytes, %v", len(got), err)
		}
		if err := <-sent; err != nil {
			t.Errorf("Send: %v", err)
		}
	})
}
