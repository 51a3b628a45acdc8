package e2e_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hopseal/hopseal/e2e"
	"github.com/hopseal/hopseal/e2e/netconn"
	"github.com/hopseal/hopseal/e2e/sessionstore"
	"github.com/hopseal/hopseal/transport"
)

// A valve is a hop that hands frames on, or does not read while it is shut.
type valve struct {
	mu     sync.Mutex
	opened chan struct{} // nil while it is open
}

func (v *valve) shut() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.opened = make(chan struct{})
}

func (v *valve) open() {
	v.mu.Lock()
	defer v.mu.Unlock()
	close(v.opened)
	v.opened = nil
}

func (v *valve) wait() <-chan struct{} {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.opened == nil {
		return closedChannel
	}
	return v.opened
}

var closedChannel = func() chan struct{} {
	c := make(chan struct{})
	close(c)
	return c
}()

// behind has what an end reads pass the valve, but for the first few frames.
func (v *valve) behind(conn transport.Conn, free int) transport.Conn {
	return &valved{Conn: conn, valve: v, free: free, closed: make(chan struct{})}
}

type valved struct {
	transport.Conn
	valve  *valve
	free   int
	once   sync.Once
	closed chan struct{}
}

func (c *valved) Read(ctx context.Context, dst []byte) ([]byte, error) {
	if c.free--; c.free >= 0 {
		return c.Conn.Read(ctx, dst)
	}
	select {
	case <-c.valve.wait():
	case <-c.closed:
	case <-ctx.Done():
	}
	return c.Conn.Read(ctx, dst)
}

func (c *valved) Close(code transport.Code, reason string) error {
	c.once.Do(func() { close(c.closed) })
	return c.Conn.Close(code, reason)
}

// received is what an end has got of a session, and how that ended.
type received struct {
	messages int
	err      error
}

func receiveAll(s *e2e.Session) (r received) {
	for {
		m, err := s.Receive(context.Background())
		if err != nil {
			r.err = err
			return r
		}
		if r.messages++; binary.BigEndian.Uint64(m) != uint64(r.messages) {
			r.err = fmt.Errorf("message %d came as number %d", binary.BigEndian.Uint64(m), r.messages)
			return r
		}
	}
}

func countedMessage(n, size int) []byte {
	return append(binary.BigEndian.AppendUint64(nil, uint64(n)), make([]byte, size)...)
}

// wantComplete checks the promise: io.EOF means that all has been received, and a Close
// that returned nil that all has arrived.
func wantComplete(t testing.TB, sent int, closed error, got received) {
	t.Helper()
	if errors.Is(got.err, io.EOF) && got.messages != sent {
		t.Errorf("%d messages of %d, and io.EOF", got.messages, sent)
	}
	if closed == nil && got.messages != sent {
		t.Errorf("Close says that all has arrived, and %d messages of %d have: %v", got.messages, sent, got.err)
	}
	var missing *e2e.CloseError
	if errors.As(got.err, &missing) && missing.Missing > 0 && got.messages+int(missing.Missing) != sent {
		t.Errorf("%d messages of %d, and %d are said to be missing", got.messages, sent, missing.Missing)
	}
}

// A52: a function that sends and returns while its client is on its way back has not said
// that its client has everything before it has, however long a hop holds up what is sent
// again.
func TestA52ServerReturnsWhileItsClientComesBack(t *testing.T) {
	for _, away := range []time.Duration{0, time.Second, 30 * time.Second} {
		for _, holds := range []time.Duration{0, time.Second, 3 * time.Second, 30 * time.Second, 2 * time.Minute} {
			t.Run(fmt.Sprint(away, " away, held for ", holds), func(t *testing.T) {
				bubble(t, func(t *testing.T) {
					const messages = 10
					v := &valve{}
					begun := make(chan *e2e.Session, 1)
					cut := make(chan struct{})
					srv := newServer(t, hosting(bob, alice), func(ctx context.Context, s *e2e.Session) error {
						begun <- s
						<-cut
						for n := range messages {
							if err := s.Send(ctx, countedMessage(n+1, 100)); err != nil {
								return err
							}
						}
						return nil
					})
					r := &road{srv: srv, atClient: func(c transport.Conn) transport.Conn { return v.behind(c, 2) }}
					c := r.client(t, trusting(alice, bob))
					s := <-begun
					v.shut()
					var hop sync.WaitGroup
					hop.Go(func() {
						close(cut)
						time.Sleep(time.Millisecond) // all is sent
						r.set(func(r *road) { r.closed = true })
						r.cut()
						time.Sleep(away)
						r.set(func(r *road) { r.closed = false })
						time.Sleep(holds)
						v.open()
					})
					defer hop.Wait()
					got := receiveAll(c)
					<-s.Done()
					wantComplete(t, messages, s.Close(), got)
					if away+holds <= 31*time.Second && !errors.Is(got.err, io.EOF) {
						t.Errorf("%d messages, then %v: there was time for all", got.messages, got.err)
					}
				})
			})
		}
	}
}

// A52: no order of cuts, stalls and closes shows an end the orderly end of a session of
// which it lacks a message, or lets a sender think that everything has arrived, stored or
// not.
func TestA52CompleteMeansComplete(t *testing.T) {
	rounds := 150
	if longTests() {
		rounds = 5_000
	}
	var complete, cut int
	for seed := range rounds {
		bubble(t, func(t *testing.T) {
			rng := dice(52, uint64(seed))
			scfg, ccfg := hosting(bob, alice), trusting(alice, bob)
			if seed%3 == 1 {
				scfg = stored(scfg, sessionstore.Memory())
			}
			if seed%3 == 2 {
				ccfg = stored(ccfg, sessionstore.Memory())
				ccfg.StoreName = "client"
			}
			scfg.HandshakeTimeout, ccfg.HandshakeTimeout = time.Second, time.Second
			scfg.SendTimeout, scfg.ParkTimeout, ccfg.MaxAge = 20*time.Second, 20*time.Second, time.Minute
			sent, most := 0, 1+rng.IntN(12)
			begun := make(chan *e2e.Session, 1)
			srv := newServer(t, scfg, func(ctx context.Context, s *e2e.Session) error {
				select {
				case begun <- s:
				default:
				}
				for n := range most {
					if err := s.Send(ctx, countedMessage(n+1, rng.IntN(90_000))); err != nil {
						return err
					}
					sent++
					time.Sleep(time.Duration(rng.IntN(40)) * time.Millisecond)
				}
				if rng.IntN(4) == 0 {
					s.Close()
				}
				return nil
			})
			r := &road{srv: srv, each: func() []transport.PipeOption { return linkTrouble(rng) }}
			c, err := e2e.DialFunc(t.Context(), "road", ccfg, r.dial)
			if err != nil {
				stop(t, srv)
				return // the first link was in trouble within the handshake
			}
			s := <-begun
			stopCuts := make(chan struct{})
			go func() {
				for range rng.IntN(6) {
					select {
					case <-time.After(time.Duration(rng.IntN(400)) * time.Millisecond):
						r.cut()
					case <-stopCuts:
					}
				}
			}()
			got := receiveAll(c)
			if errors.Is(got.err, io.EOF) {
				complete++
			} else {
				cut++
			}
			<-s.Done()
			close(stopCuts)
			wantComplete(t, sent, s.Close(), got)
			c.Close()
			stop(t, srv)
			synctest.Wait()
		})
	}
	t.Logf("%d sessions complete, %d cut short", complete, cut)
	if complete < rounds/3 || cut == 0 {
		t.Errorf("%d sessions complete, %d cut short: the trouble is of the wrong size", complete, cut)
	}
}

// linkTrouble is what may befall one link: nothing, or silence in a direction from some frame
// on, until the keep-alive of nobody notices within the time of a Close.
func linkTrouble(rng *rand.Rand) []transport.PipeOption {
	silent := func() transport.Fault {
		if rng.IntN(3) > 0 {
			return nil
		}
		left := rng.IntN(14)
		return func(m []byte) [][]byte {
			if left--; left < 0 {
				return nil
			}
			return [][]byte{m}
		}
	}
	return []transport.PipeOption{transport.WithFaults(silent(), silent())}
}

// A52: a NetConn's reader gets io.EOF behind the last byte that was written, or another
// error, and the writer's Close says which.
func TestA52StreamOfBytesIsComplete(t *testing.T) {
	for _, holds := range []time.Duration{0, time.Second, 4 * time.Second, 30 * time.Second} {
		t.Run(fmt.Sprint("held for ", holds), func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				const size = 10_000
				v := &valve{}
				begun := make(chan *netconn.Conn, 1)
				srv := newServer(t, hosting(bob, alice), func(ctx context.Context, s *e2e.Session) error {
					begun <- netconn.New(s)
					<-s.Done()
					return nil
				})
				r := &road{srv: srv, atServer: func(c transport.Conn) transport.Conn { return v.behind(c, 2) }}
				near, far := netconn.New(r.client(t, trusting(alice, bob))), <-begun
				v.shut()
				for range 10 {
					mustWriteTo(t, near, string(make([]byte, size/10)))
				}
				r.cut()
				var hop sync.WaitGroup
				hop.Go(func() {
					time.Sleep(holds)
					v.open()
				})
				defer hop.Wait()
				closed := make(chan error, 1)
				go func() { closed <- near.Close() }()
				got, err := io.ReadAll(far)
				failed := <-closed
				if err == nil && len(got) != size {
					t.Errorf("%d bytes of %d, without an error", len(got), size)
				}
				if failed == nil && len(got) != size {
					t.Errorf("%d bytes of %d, and Close says that all has arrived", len(got), size)
				}
				if holds <= time.Second && (err != nil || failed != nil) {
					t.Errorf("there was time for all: %v, %v", err, failed)
				}
			})
		})
	}
}

// A52: of concurrent Sends of a stored session that have all returned nil, each arrives, or
// Close says that it may not have.
func TestA52StoredSendsBeforeAClose(t *testing.T) {
	for seed := range 30 {
		bubble(t, func(t *testing.T) {
			rng := dice(1, uint64(seed))
			got := make(chan received, 1)
			srv := newServer(t, hosting(bob, alice), func(ctx context.Context, s *e2e.Session) error {
				var all received
				for {
					if _, err := s.Receive(ctx); err != nil {
						all.err = err
						got <- all
						return err
					}
					all.messages++
				}
			})
			cfg := stored(trusting(alice, bob), &slowStore{Store: sessionstore.Memory(), wait: time.Duration(rng.IntN(5)) * time.Millisecond})
			cfg.StoreName = "client"
			r := &road{srv: srv}
			c, err := e2e.DialFunc(t.Context(), "road", cfg, r.dial)
			if err != nil {
				t.Fatal(err)
			}
			const messages = 5
			var sends sync.WaitGroup
			var mu sync.Mutex
			sent := 0
			for range messages {
				sends.Go(func() {
					time.Sleep(time.Duration(rng.IntN(3)) * time.Millisecond)
					if c.Send(context.Background(), make([]byte, 100)) == nil {
						mu.Lock()
						sent++
						mu.Unlock()
					}
				})
			}
			time.Sleep(time.Duration(rng.IntN(8)) * time.Millisecond)
			closed := c.Close()
			sends.Wait()
			all := <-got
			mu.Lock()
			defer mu.Unlock()
			if (errors.Is(all.err, io.EOF) || closed == nil) && all.messages != sent {
				t.Errorf("seed %d: %d messages of %d; %v, Close %v", seed, all.messages, sent, all.err, closed)
			}
		})
	}
}

// slowStore takes some time for each record.
type slowStore struct {
	sessionstore.Store
	wait time.Duration
}

func (s *slowStore) Save(ctx context.Context, r sessionstore.Record) error {
	time.Sleep(s.wait)
	return s.Store.Save(ctx, r)
}

// dice may be thrown by several goroutines.
func dice(seed1, seed2 uint64) *rand.Rand {
	return rand.New(&lockedSource{Source: rand.NewPCG(seed1, seed2)})
}

type lockedSource struct {
	mu sync.Mutex
	rand.Source
}

func (l *lockedSource) Uint64() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.Source.Uint64()
}

// A52: Close of a NetConn says the same each time, and to everybody who calls it.
func TestA52NetConnClosesOnce(t *testing.T) {
	bubble(t, func(t *testing.T) {
		v := &valve{}
		a, b := transport.Pipe()
		near, _ := establish(t, a, v.behind(b, 2))
		c := netconn.New(near)
		v.shut()
		mustWriteTo(t, c, "does not arrive")
		results := make(chan error, 3)
		for range 2 {
			go func() { results <- c.Close() }()
		}
		first, second := <-results, <-results
		results <- c.Close()
		if third := <-results; first == nil || first != second || first != third {
			t.Errorf("Close: %v, %v, %v", first, second, third)
		}
		v.open()
	})
}
