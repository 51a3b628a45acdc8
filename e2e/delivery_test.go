package e2e_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hopseal/hopseal/e2e"
	"github.com/hopseal/hopseal/internal/engine"
	"github.com/hopseal/hopseal/transport"
)

// Flush waits until the other end's session has everything, whether or not its
// application has asked for it.
func TestFlush(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c, s := over(t)
		if err := c.Flush(t.Context()); err != nil {
			t.Fatalf("with nothing sent: %v", err)
		}
		for _, m := range messages(100) {
			mustSend(t, c, m)
		}
		start := time.Now()
		if err := c.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(start); took > time.Second {
			t.Errorf("took %v with nobody receiving", took)
		}
		for _, m := range messages(100) {
			mustReceive(t, s, m)
		}
	})
}

// An end that has taken everything and closes says both: who waits to know whether a
// message has arrived is told.
func TestCloseAcknowledges(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c, s := over(t)
		mustSend(t, c, "hello")
		mustReceive(t, s, "hello")
		s.Close() // long before an ack would be due
		if _, err := c.Receive(t.Context()); !errors.Is(err, io.EOF) {
			t.Errorf("Receive: %v", err)
		}
		if err := c.Flush(t.Context()); err != nil {
			t.Errorf("Flush of what had arrived before the other end closed: %v", err)
		}
	})
}

// A Flush does not return before a message has arrived, gives up with its context
// at no cost, and learns of the session's end.
func TestFlushOfWhatDoesNotArrive(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c, s := overDeaf(t)
		mustSend(t, c, "hello")
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		if err := c.Flush(ctx); err != context.DeadlineExceeded {
			t.Errorf("Flush: %v", err)
		}
		mustSend(t, c, "the session goes on")
		ended := make(chan error)
		go func() { ended <- c.Flush(context.Background()) }()
		synctest.Wait()
		s.Close()
		if err := <-ended; !errors.Is(err, io.EOF) {
			t.Errorf("Flush of a session that ends: %v", err)
		}
	})
}

// Two ends that send without end to each other, and both receive, get on, however
// small the connection between them.
func TestTwoFullSendersGetOn(t *testing.T) {
	c, s := over(t, transport.WithBuffer(1))
	const count = 400
	message := bytes.Repeat([]byte("m"), 10_000) // each way four times the window
	var work sync.WaitGroup
	for _, end := range []*e2e.Session{c, s} {
		work.Go(func() {
			for range count {
				if err := end.Send(context.Background(), message); err != nil {
					t.Error(err)
					return
				}
			}
			if err := end.Flush(context.Background()); err != nil {
				t.Error(err)
			}
		})
		work.Go(func() {
			for range count {
				if got, err := end.Receive(context.Background()); err != nil || len(got) != len(message) {
					t.Errorf("%d bytes, %v", len(got), err)
					return
				}
			}
		})
	}
	work.Wait()
}

// An application that sends everything before it receives anything makes the other
// end's wait, and no more than wait, where that does the same.
func TestSendersThatDoNotReceive(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c, s := over(t, transport.WithBuffer(1))
		message := bytes.Repeat([]byte("m"), 900_000) // one more than fills the window waits
		var work sync.WaitGroup
		for _, end := range []*e2e.Session{c, s} {
			work.Go(func() {
				for range 2 {
					if err := end.Send(context.Background(), message); err != nil {
						t.Error(err)
					}
				}
				for range 2 {
					if _, err := end.Receive(context.Background()); err != nil {
						t.Error(err)
					}
				}
			})
		}
		work.Wait()
	})
}

// What the session has read by itself is returned in its order, and after the other
// end has closed too.
func TestReadAheadSurvivesTheEnd(t *testing.T) {
	for name, end := range map[string]func(c *e2e.Session){
		"closed": func(c *e2e.Session) { c.Close() },
		"cut":    func(c *e2e.Session) { e2e.ConnOf(c).(*transport.PipeConn).Cut() },
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				c, s := over(t)
				for _, m := range messages(50) {
					mustSend(t, c, m)
				}
				time.Sleep(time.Second) // s reads
				end(c)
				synctest.Wait()
				for _, m := range messages(50) {
					mustReceive(t, s, m)
				}
				if _, err := s.Receive(t.Context()); errors.Is(err, io.EOF) != (name == "closed") {
					t.Errorf("the end: %v", err)
				}
			})
		})
	}
}

// After Close nothing that was read ahead is returned.
func TestReadAheadEndsWithClose(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c, s := over(t)
		mustSend(t, c, "too late")
		time.Sleep(time.Second)
		s.Close()
		wantEnd(t, s, e2e.CloseError{}, false)
	})
}

// A function that only sends learns that its client has gone.
func TestEndIsNoticedWithoutReceiving(t *testing.T) {
	bubble(t, func(t *testing.T) {
		ended := make(chan struct{})
		srv := newServer(t, hosting(bob, alice), func(ctx context.Context, s *e2e.Session) error {
			defer close(ended)
			<-ctx.Done()
			return ctx.Err()
		})
		c, result := join(t, srv)
		c.Close()
		<-ended
		if err := <-result; err != nil {
			t.Errorf("ServeConn: %v", err)
		}
	})
}

// Receives that wait while the session reads by itself get what it reads, each
// message once.
func TestReceiveTakesOverFromThePump(t *testing.T) {
	bubble(t, testTakeOver)
}

func testTakeOver(t *testing.T) {
	c, s := over(t)
	time.Sleep(time.Second) // the pumps run
	var mu sync.Mutex
	seen := map[string]bool{}
	var work sync.WaitGroup
	for range 3 {
		work.Go(func() {
			for range 100 {
				m, err := s.Receive(context.Background())
				mu.Lock()
				if err != nil || seen[string(m)] {
					t.Errorf("%q, %v", m, err)
				}
				seen[string(m)] = true
				mu.Unlock()
			}
		})
	}
	for i := range 300 {
		mustSend(t, c, fmt.Sprint(i))
		if i%50 == 0 {
			if err := c.Flush(t.Context()); err != nil {
				t.Error(err)
			}
		}
	}
	work.Wait()
}

// An idle session asks now and then, for days; nothing of it reaches an application.
func TestIdleSessionLives(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var asked atomic.Int64
		count := func(m []byte) [][]byte {
			if m[0]&0x1f == 4 { // an ask
				asked.Add(1)
			}
			return [][]byte{m}
		}
		c, s := over(t, transport.WithFaults(count, count))
		go c.Receive(context.Background())
		for range 2 {
			time.Sleep(time.Hour)
			mustSend(t, c, "still there")
			mustReceive(t, s, "still there")
		}
		most := int64(2*time.Hour/e2e.DefaultKeepAlive) + int64(2*time.Hour/engine.DefaultRekeyAfter) // one behind each rekey
		if n := asked.Load(); n < most/2 || n > most+4 {
			t.Errorf("asked %d times in two hours, want about %d", n, most)
		}
		c.Close()
	})
}

// A connection that has died without a word is noticed at both ends.
func TestSilentConnectionIsNoticed(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var dead atomic.Bool
		lose := func(m []byte) [][]byte {
			if dead.Load() {
				return nil
			}
			return [][]byte{m}
		}
		c, s := over(t, transport.WithFaults(lose, lose))
		mustSend(t, c, "hello")
		mustReceive(t, s, "hello")
		time.Sleep(time.Second)
		dead.Store(true)
		start := time.Now()
		wantEnd(t, c, e2e.CloseError{Remote: true, Err: e2e.ErrSilent}, false)
		if took := time.Since(start); took > 2*e2e.DefaultKeepAlive {
			t.Errorf("noticed after %v", took)
		}
	})
}

func TestConfigWindow(t *testing.T) {
	for _, window := range []int{-1, 1, 65_535, 1<<30 + 1} {
		cfg := hosting(alice, bob)
		cfg.Window = window
		if _, err := e2e.NewServer(cfg, echo); err == nil {
			t.Errorf("a window of %d was accepted", window)
		}
	}
}

// What the other end said before it closed is heard although this end was about to say
// something, and found the connection closed.
func TestLastWordsAreHeardBySenders(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := &road{srv: newServer(t, hosting(bob, alice), func(ctx context.Context, s *e2e.Session) error {
			for _, message := range messages(3) {
				mustSend(t, s, message)
			}
			return nil
		})}
		c := r.client(t, trusting(alice, bob))
		synctest.Wait() // the server has closed; nobody has read yet
		c.Send(t.Context(), []byte("nobody listens"))
		for _, message := range messages(3) {
			mustReceive(t, c, message)
		}
		wantEnd(t, c, e2e.CloseError{Remote: true, Code: e2e.CodeDone}, true)
		if r.links() != 1 {
			t.Errorf("%d links", r.links())
		}
	})
}
