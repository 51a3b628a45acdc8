package e2e_test

import (
	"bytes"
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hopseal/hopseal/e2e"
	"github.com/hopseal/hopseal/e2e/sessionstore"
	"github.com/hopseal/hopseal/internal/hostile"
	"github.com/hopseal/hopseal/internal/slowtest"
	"github.com/hopseal/hopseal/transport"
	"github.com/hopseal/hopseal/transport/redial"
)

const kbit = 1000 / 8 // bytes

// slowLine is that of the many: 64 kbit/s behind a hop that buffers whatever it is given.
func slowLine() *hostile.Line {
	return &hostile.Line{Rate: 64 * kbit, Latency: 300 * time.Millisecond}
}

// bothEnds returns the ends of a session over a line, which the client dials for each link.
func bothEnds(t testing.TB, line *hostile.Line, change func(cfg *e2e.Options)) (client, server *e2e.Session) {
	t.Helper()
	return bothEndsBy(t, line, change, func(transport.Conn) {})
}

// bothEndsBy is bothEnds that shows each of the client's connections.
func bothEndsBy(t testing.TB, line *hostile.Line, change func(cfg *e2e.Options), show func(transport.Conn)) (client, server *e2e.Session) {
	t.Helper()
	clientCfg, serverCfg := trusting(alice, bob), hosting(bob, alice)
	clientCfg.StoreName = "slow"
	clientCfg.Retry = redial.Policy{Base: 200 * time.Millisecond, Cap: 200 * time.Millisecond}
	for _, cfg := range []*e2e.Options{&clientCfg.Options, &serverCfg.Options} {
		if change != nil {
			change(cfg)
		}
	}
	accepted := make(chan *e2e.Session, 1)
	srv := newServer(t, serverCfg, func(ctx context.Context, s *e2e.Session) error {
		accepted <- s
		<-s.Done()
		return nil
	})
	t.Cleanup(line.Cut)
	client, err := e2e.DialFunc(t.Context(), "line", clientCfg, func(context.Context) (transport.Conn, error) {
		near, far := line.Connect()
		show(near)
		go srv.ServeConn(context.Background(), far)
		return near, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close() })
	return client, <-accepted
}

// carry sends a message and returns how long it took to arrive.
func carry(t testing.TB, from, to *e2e.Session, message []byte) time.Duration {
	t.Helper()
	began := time.Now()
	sent := make(chan error, 1)
	go func() { sent <- from.Send(context.Background(), message) }()
	got := mustReceiveWithin(t, to, time.Hour)
	if !bytes.Equal(got, message) {
		t.Errorf("%d bytes came as %d others", len(message), len(got))
	}
	if err := <-sent; err != nil {
		t.Errorf("Send: %v", err)
	}
	return time.Since(began)
}

func mustReceiveWithin(t testing.TB, s *e2e.Session, most time.Duration) []byte {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), most)
	defer cancel()
	got, err := s.Receive(ctx)
	if err != nil {
		t.Fatalf("nothing in %v: %v", most, err)
	}
	return got
}

// pattern returns a message in which no piece is like another.
func pattern(n int) []byte {
	b := make([]byte, n)
	for i := 0; i < n; i += 8 {
		copy(b[i:], fmt.Sprintf("%08x", i/8))
	}
	return b
}

const mebibyte = 1 << 20

// A message of 1 MiB takes as long as the line takes for it, on one link, with the default
// keep-alive: the ping waits behind it in the buffer, but pieces arrive.
func TestLongMessageOnASlowLine(t *testing.T) {
	message := pattern(mebibyte)
	for _, up := range []bool{true, false} {
		bubble(t, func(t *testing.T) {
			line := slowLine()
			from, to := bothEnds(t, line, nil)
			if !up {
				from, to = to, from
			}
			took := carry(t, from, to, message)
			least := mebibyte * time.Second / time.Duration(line.Rate)
			t.Logf("up %v: %v, the line takes %v", up, took, least)
			if took > least*103/100+time.Second || line.Links() != 1 {
				t.Errorf("up %v: it took %v on %d links, the line takes %v", up, took, line.Links(), least)
			}
		})
	}
}

// Both directions at a time, and several messages one after the other: who waits longer than
// SendTimeout only because those before him take so long waits on, and answers that are behind a
// megabyte of the other end's do not pass for silence.
func TestManyLongMessagesOnASlowLine(t *testing.T) {
	slowtest.Skip(t)
	const each = 3
	bubble(t, func(t *testing.T) {
		line := slowLine()
		c, s := bothEnds(t, line, nil)
		began := time.Now()
		done := make(chan struct{}, 4)
		for _, ends := range [][2]*e2e.Session{{c, s}, {s, c}} {
			go func() {
				defer func() { done <- struct{}{} }()
				for i := range each {
					if err := ends[0].Send(context.Background(), pattern(mebibyte-i)); err != nil {
						t.Errorf("message %d: %v", i, err)
					}
				}
			}()
			go func() {
				defer func() { done <- struct{}{} }()
				for i := range each {
					if got, err := ends[1].Receive(context.Background()); !bytes.Equal(got, pattern(mebibyte-i)) {
						t.Errorf("message %d came as %d bytes, %v", i, len(got), err)
					}
				}
			}()
		}
		for range 4 {
			<-done
		}
		least := each * mebibyte * time.Second / time.Duration(line.Rate)
		if took := time.Since(began); took > least*106/100 || line.Links() != 1 {
			t.Errorf("it took %v on %d links, the line takes %v", took, line.Links(), least)
		}
	})
}

// A line that is cut again and again, before a whole message can pass: what has arrived of it
// need not pass again. On links that are too short even for one piece of 64 KiB the pieces are
// smaller.
func TestLongMessageOnALineThatIsCut(t *testing.T) {
	slowtest.Skip(t)
	message := pattern(mebibyte)
	for _, every := range []time.Duration{40 * time.Second, 10 * time.Second, 4 * time.Second} {
		for _, up := range []bool{true, false} {
			bubble(t, func(t *testing.T) {
				line := slowLine()
				from, to := bothEnds(t, line, nil)
				if !up {
					from, to = to, from
				}
				stop := cutEvery(line, every)
				took := carry(t, from, to, message)
				cuts := stop()
				carried, back := line.Carried()
				if !up {
					carried = back
				}
				t.Logf("up %v, a cut every %v: %v with %d cuts, %d bytes carried", up, every, took, cuts, carried)
				// On each link: one piece at most that has come and was not taken, a resume, acks.
				if most := len(message)*104/100 + (cuts+1)*6000; carried > most {
					t.Errorf("up %v, a cut every %v: %d bytes have passed, want at most %d", up, every, carried, most)
				}
			})
		}
	}
}

// cutEvery cuts a line again and again, until the returned function is called, which says how
// often.
func cutEvery(line *hostile.Line, every time.Duration) (stop func() int) {
	over, cuts := make(chan struct{}), make(chan int)
	go func() {
		for n := 0; ; n++ {
			select {
			case <-over:
				cuts <- n
				return
			case <-time.After(every):
				line.Cut()
			}
		}
	}()
	return func() int {
		close(over)
		return <-cuts
	}
}

// A line that swallows everything is found as soon as ever, also in the middle of a message: that
// a buffer takes our bytes is no sign of life. So is one that swallows one direction.
func TestSilentLineIsFoundInTime(t *testing.T) {
	for name, swallow := range map[string][2]bool{"both": {true, true}, "up": {true, false}, "down": {false, true}} {
		for _, sends := range []bool{false, true} {
			bubble(t, func(t *testing.T) {
				line := slowLine()
				lost := make(chan time.Time, 9)
				client := true // whose Options are the first
				c, s := bothEnds(t, line, func(cfg *e2e.Options) {
					if client {
						client = false
						cfg.Notify = func(e e2e.Event) {
							if e.State == e2e.StateReconnecting {
								lost <- time.Now()
							}
						}
					}
				})
				if sends {
					go c.Send(context.Background(), pattern(mebibyte))
					go s.Receive(context.Background())
				}
				time.Sleep(20 * time.Second)
				line.Swallow(swallow[0], swallow[1])
				began := time.Now()
				most := 2*e2e.DefaultKeepAlive + time.Second
				if name == "up" {
					most += e2e.DefaultKeepAlive // the server still asks, and finds out
				}
				if took := (<-lost).Sub(began); took > most {
					t.Errorf("%s, sends %v: found after %v", name, sends, took)
				}
				line.Swallow(false, false)
			})
		}
	}
}

// What has come of a message stays when whoever receives gives up, which costs the line, and
// another Receive has the rest, whatever memory each of them brings.
func TestReceivesShareALongMessage(t *testing.T) {
	bubble(t, func(t *testing.T) {
		line := slowLine()
		c, s := bothEnds(t, line, nil)
		message := pattern(mebibyte)
		sent := make(chan error, 1)
		carry(t, c, s, []byte("the session reads by itself until here"))
		go func() { sent <- c.Send(context.Background(), message) }()
		memory := make([]byte, 3, 2*mebibyte)
		for n := 0; ; n++ {
			ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
			got, err := s.AppendReceive(ctx, memory)
			cancel()
			if err == nil {
				if !bytes.Equal(got[3:], message) {
					t.Errorf("%d bytes came", len(got)-3)
				}
				break
			}
			if len(got) != 3 {
				t.Fatalf("%d bytes with %v", len(got), err)
			}
			if clear(memory[:cap(memory)]); n > 9 { // the memory is the caller's again
				t.Fatal("it begins anew each time")
			}
		}
		if err := <-sent; err != nil {
			t.Error(err)
		}
		if carried, _ := line.Carried(); carried > len(message)*104/100+line.Links()*(70<<10) {
			t.Errorf("%d bytes have passed on %d links", carried, line.Links())
		}
	})
}

// An idle session is not one whose last message is still on its way.
func TestSlowLineIsNotIdle(t *testing.T) {
	for _, up := range []bool{true, false} {
		bubble(t, func(t *testing.T) {
			from, to := bothEnds(t, slowLine(), func(cfg *e2e.Options) { cfg.IdleTimeout = 30 * time.Second })
			if !up {
				from, to = to, from
			}
			carry(t, from, to, pattern(mebibyte))
			carry(t, from, to, []byte("and on"))
			carry(t, to, from, []byte("and back"))
		})
	}
}

// A client that has another way, or believes so, comes back while a modem still holds what it has
// sent before: that arrives, and then the session goes on behind it.
func TestComingBackBehindAFullBuffer(t *testing.T) {
	bubble(t, func(t *testing.T) {
		line := slowLine()
		line.Modem = true
		ends := make(chan transport.Conn, 99)
		c, s := bothEndsBy(t, line, nil, func(near transport.Conn) { ends <- near })
		message := pattern(mebibyte)
		go func() {
			time.Sleep(30 * time.Second)
			(<-ends).Close(transport.CodeNormal, "the network is another")
		}()
		took := carry(t, c, s, message)
		if carried, _ := line.Carried(); took > 5*time.Minute || carried > len(message)*11/10 {
			t.Errorf("it took %v on %d links, with %d bytes", took, line.Links(), carried)
		}
	})
}

// Signed messages, and those of sessions that are stored, go on within them like others.
func TestLongMessagesThatAreSignedAndStored(t *testing.T) {
	bubble(t, func(t *testing.T) {
		line := slowLine()
		c, s := bothEnds(t, line, func(cfg *e2e.Options) {
			cfg.Proof = e2e.ProofEd25519
			cfg.Store, cfg.StoreKeys = sessionstore.Memory(), storeKeys
		})
		stop := cutEvery(line, 40*time.Second)
		for _, ends := range [][2]*e2e.Session{{c, s}, {s, c}} {
			carry(t, ends[0], ends[1], pattern(mebibyte))
		}
		if up, down := line.Carried(); up+down > 3*mebibyte {
			t.Errorf("%d and %d bytes have passed", up, down)
		}
		stop()
	})
}

// A server that is replaced in the middle of a message takes what has come of it along: the next
// one is sent all of it, and then it is there once.
func TestRestartWithinALongMessage(t *testing.T) {
	bubble(t, func(t *testing.T) {
		line := slowLine()
		t.Cleanup(line.Cut)
		store, accepted := sessionstore.Memory(), make(chan *e2e.Session, 9)
		start := func() *e2e.Server {
			return newServer(t, stored(hosting(bob, alice), store), func(ctx context.Context, s *e2e.Session) error {
				accepted <- s
				<-s.Done()
				return nil
			})
		}
		var srv atomic.Pointer[e2e.Server]
		srv.Store(start())
		c, err := e2e.DialFunc(t.Context(), "line", trusting(alice, bob), func(context.Context) (transport.Conn, error) {
			near, far := line.Connect()
			go srv.Load().ServeConn(context.Background(), far)
			return near, nil
		})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		<-accepted
		message := pattern(mebibyte)
		sent := make(chan error, 1)
		go func() { sent <- c.Send(context.Background(), message) }()
		time.Sleep(40 * time.Second)
		stop(t, srv.Swap(start()))
		s := <-accepted
		if got := mustReceiveWithin(t, s, time.Hour); !bytes.Equal(got, message) {
			t.Errorf("%d bytes came", len(got))
		}
		if err := <-sent; err != nil {
			t.Error(err)
		}
		carry(t, c, s, []byte("and on"))
	})
}
