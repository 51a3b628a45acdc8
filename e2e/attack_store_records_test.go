package e2e_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hopseal/hopseal/e2e"
	"github.com/hopseal/hopseal/e2e/sessionstore"
	"github.com/hopseal/hopseal/keys"
	"github.com/hopseal/hopseal/transport"
)

// A flaky store does what a test says, and remembers what it was given.
type flaky struct {
	sessionstore.Store

	mu     sync.Mutex
	err    error // of every call
	forget bool  // saves, and says that it did not
	slow   time.Duration
	finds  int
	loads  int
	saves  int
	last   sessionstore.Record
	seen   [][]byte
}

func newFlaky() *flaky { return &flaky{Store: sessionstore.Memory()} }

func (f *flaky) set(change func(f *flaky)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change(f)
}

func (f *flaky) Find(ctx context.Context, id [32]byte) (key [32]byte, head []byte, err error) {
	f.set(func(f *flaky) { f.finds++; err = f.err })
	if err != nil {
		return key, nil, err
	}
	return f.Store.Find(ctx, id)
}

func (f *flaky) Load(ctx context.Context, key [32]byte) (_ sessionstore.Record, err error) {
	f.set(func(f *flaky) { f.loads++; err = f.err })
	if err != nil {
		return sessionstore.Record{}, err
	}
	return f.Store.Load(ctx, key)
}

func (f *flaky) Save(ctx context.Context, s sessionstore.Record) error {
	f.mu.Lock()
	err, forget, slow := f.err, f.forget, f.slow
	f.seen = append(f.seen, bytes.Clone(s.Data))
	f.saves++
	f.mu.Unlock()
	time.Sleep(slow)
	if err != nil && !forget {
		return err
	}
	if saved := f.Store.Save(ctx, s); saved != nil {
		return saved
	}
	f.set(func(f *flaky) { f.last = s })
	return err
}

// latest returns the record that was saved last.
func (f *flaky) latest() sessionstore.Record {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.last
}

func (f *flaky) count() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.saves
}

var errDown = errors.New("the store is down")

// down is a store that does not work, for a time.
func (f *flaky) down(for_ time.Duration) {
	f.set(func(f *flaky) { f.err = errDown })
	time.Sleep(for_)
	f.set(func(f *flaky) { f.err = nil })
}

// aStored is a client and its server on a flaky store, with one message each way.
func aStored(t *testing.T, change func(cfg *e2e.ServerConfig)) (store *flaky, r *road, c *e2e.Session, node func() *e2e.Server) {
	store = newFlaky()
	node = func() *e2e.Server {
		cfg := stored(hosting(bob, alice), store)
		if change != nil {
			change(&cfg)
		}
		return newServer(t, cfg, echo)
	}
	r = &road{srv: node()}
	c = r.client(t, trusting(alice, bob))
	mustSend(t, c, "hello")
	mustReceive(t, c, "hello")
	time.Sleep(time.Second)
	return store, r, c, node
}

// move has the next connection go to another server.
func (r *road) move(srv *e2e.Server) {
	r.set(func(r *road) { r.srv = srv })
	r.cut()
}

// A store that does not work for a time holds sessions up: no session is unknown for it,
// and no message is sent that is not stored.
func TestStoreThatIsDownForATime(t *testing.T) {
	bubble(t, func(t *testing.T) {
		store, r, c, node := aStored(t, nil)
		began := time.Now()
		go store.down(30 * time.Second)
		synctest.Wait()
		mustSend(t, c, "one") // arrives; its answer waits for the store
		mustReceive(t, c, "one")
		if waited := time.Since(began); waited < 29*time.Second {
			t.Errorf("an answer was sent %v after the store went down", waited)
		}
		began = time.Now()
		go store.down(30 * time.Second)
		synctest.Wait()
		r.cut() // and no resume is told to have succeeded that is not stored
		for c.Stats().Resumes == 0 {
			time.Sleep(time.Second)
		}
		if waited := time.Since(began); waited < 29*time.Second {
			t.Errorf("the session went on %v after the store went down", waited)
		}
		time.Sleep(time.Second)
		next := node()
		began = time.Now()
		go store.down(30 * time.Second)
		synctest.Wait()
		r.move(next)
		mustSend(t, c, "two")
		mustReceiveBy(t, c, "two")
		if waited := time.Since(began); waited < 29*time.Second {
			t.Errorf("a session was restored %v after the store went down", waited)
		}
		c.Close()
	})
}

// A store that does not work for SendTimeout ends the server's end, with a type. The
// session goes on when the store works again.
func TestStoreThatIsDownForLong(t *testing.T) {
	bubble(t, func(t *testing.T) {
		ends := make(chan error, 2)
		store := newFlaky()
		cfg := stored(hosting(bob, alice), store)
		cfg.SendTimeout = 5 * time.Second
		r := &road{srv: newServer(t, cfg, func(ctx context.Context, s *e2e.Session) error {
			err := echo(ctx, s)
			ends <- err
			return err
		})}
		c := r.client(t, trusting(alice, bob))
		mustSend(t, c, "one")
		mustReceive(t, c, "one")
		go store.down(20 * time.Second)
		synctest.Wait()
		mustSend(t, c, "two")
		err := <-ends
		wantStored(t, err, sessionstore.ErrUnavailable)
		if !errors.Is(err, errDown) {
			t.Errorf("%v does not say why", err)
		}
		mustReceiveBy(t, c, "two")
		c.Close()
		<-ends
	})
}

// What a store has done and not said it has done is settled: the session goes on where it
// is, and nothing is sent twice.
func TestStoreWithUnknownOutcomes(t *testing.T) {
	bubble(t, func(t *testing.T) {
		store, _, c, _ := aStored(t, nil)
		for i := range 5 {
			store.set(func(f *flaky) { f.err, f.forget = errDown, true })
			go func() {
				time.Sleep(200 * time.Millisecond)
				store.set(func(f *flaky) { f.err, f.forget = nil, false })
			}()
			mustSend(t, c, fmt.Sprint(i))
			mustReceive(t, c, fmt.Sprint(i))
			time.Sleep(time.Second)
		}
		if c.Stats().Resumes > 0 {
			t.Error("the session was lost")
		}
		c.Close()
	})
}

// Messages that are sent at one time are stored in one go, and each is stored before it
// is sent.
func TestStoreCommitsInGroups(t *testing.T) {
	bubble(t, func(t *testing.T) {
		const messages = 200
		store := newFlaky()
		var sends sync.WaitGroup
		r := &road{srv: newServer(t, stored(hosting(bob, alice), store), func(ctx context.Context, s *e2e.Session) error {
			if _, err := s.Receive(ctx); err != nil {
				return err
			}
			for n := range messages {
				sends.Go(func() {
					if err := s.Send(ctx, fmt.Append(nil, n)); err != nil {
						t.Error(err)
					}
				})
			}
			_, err := s.Receive(ctx)
			return err
		})}
		c := r.client(t, trusting(alice, bob))
		store.set(func(f *flaky) { f.slow = 10 * time.Millisecond })
		before := store.count()
		mustSend(t, c, "go")
		seen := map[string]bool{}
		for range messages {
			message, err := c.Receive(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			seen[string(message)] = true
		}
		sends.Wait()
		if len(seen) != messages {
			t.Errorf("%d messages", len(seen))
		}
		if saves := store.count() - before; saves > messages/4 {
			t.Errorf("%d messages took %d saves", messages, saves)
		}
		c.Close()
	})
}

// A42: what a store is given shows no message.
func TestA42StoresSeeNoMessages(t *testing.T) {
	bubble(t, func(t *testing.T) {
		store, r, c, _ := aStored(t, nil)
		r.set(func(r *road) { r.closed = true })
		mustSend(t, c, "hello, marker") // and it comes back
		r.cut()
		time.Sleep(time.Second)
		r.set(func(r *road) { r.closed = false })
		c.Close()
		time.Sleep(time.Second)
		store.mu.Lock()
		defer store.mu.Unlock()
		for _, data := range store.seen {
			if bytes.Contains(data, []byte("hello")) || bytes.Contains(data, []byte("marker")) || bytes.Contains(data, []byte("test/1")) {
				t.Fatal("a record shows what is in it")
			}
		}
		if len(store.seen) < 3 {
			t.Errorf("%d records", len(store.seen))
		}
	})
}

// A record that is changed, of another session, of another version or of other keys does
// not open: the session is unknown, and its client is given the gap.
func TestStoredRecordsOpenInTheirPlaceOnly(t *testing.T) {
	for name, change := range map[string]func(t *testing.T, store *flaky, other sessionstore.Record, r *sessionstore.Record){
		"changed": func(_ *testing.T, _ *flaky, _ sessionstore.Record, r *sessionstore.Record) {
			r.Data[len(r.Data)-1] ^= 1
		},
		"cut short": func(_ *testing.T, _ *flaky, _ sessionstore.Record, r *sessionstore.Record) {
			r.Data = r.Data[:len(r.Data)-1]
		},
		"empty":           func(_ *testing.T, _ *flaky, _ sessionstore.Record, r *sessionstore.Record) { r.Data = nil },
		"another version": func(*testing.T, *flaky, sessionstore.Record, *sessionstore.Record) {},
		"another session": func(_ *testing.T, _ *flaky, other sessionstore.Record, r *sessionstore.Record) { r.Data = other.Data },
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				store, r, c, node := aStored(t, nil)
				second := r.client(t, trusting(alice, bob))
				for range 8 { // so that its version is above that of the first
					mustSend(t, second, "more")
					mustReceive(t, second, "more")
					time.Sleep(time.Second)
				}
				other := store.latest()
				mustSend(t, c, "one more")
				mustReceive(t, c, "one more")
				time.Sleep(time.Second)
				record := store.latest() // the first one's
				if record.Key == other.Key {
					t.Fatal("this is not another session")
				}
				for record.Version++; name == "another session" && record.Version < other.Version; record.Version++ {
					if err := store.Save(t.Context(), record); err != nil {
						t.Fatal(err)
					}
				}
				record.Data = bytes.Clone(record.Data)
				change(t, store, other, &record)
				if err := store.Save(t.Context(), record); err != nil {
					t.Fatal(err)
				}
				r.move(node())
				wantGap(t, gapOf(t, c, e2e.ErrTruncated), 3)
				second.Close()
			})
		})
	}
	bubble(t, func(t *testing.T) {
		_, r, c, _ := aStored(t, nil)
		cfg := stored(hosting(bob, alice), r.store(t))
		cfg.StoreKeys = newKeyset()
		r.move(newServer(t, cfg, echo))
		wantGap(t, gapOf(t, c, e2e.ErrTruncated), 2)
	})
}

// store returns one that is empty, for a server that has other keys anyway.
func (r *road) store(testing.TB) sessionstore.Store { return sessionstore.Memory() }

// A18: a store that goes back to an earlier record makes the session end at both ends, and
// says so: nothing is taken for delivered that is not there any more.
func TestA18StoreThatIsRolledBack(t *testing.T) {
	bubble(t, func(t *testing.T) {
		store, r, c, node := aStored(t, nil)
		old := store.latest()
		mustSend(t, c, "taken and acknowledged")
		mustReceive(t, c, "taken and acknowledged")
		if err := c.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		// A hostile store presents the old record as it was: in a store of its own.
		back := sessionstore.Memory()
		for version := uint64(1); version <= old.Version; version++ {
			r := old
			if r.Version = version; version < old.Version {
				r.Data = []byte("filler")
			}
			if err := back.Save(t.Context(), r); err != nil {
				t.Fatal(err)
			}
		}
		cfg := stored(hosting(bob, alice), back)
		r.move(newServer(t, cfg, echo))
		_, err := c.Receive(context.Background())
		var failed *e2e.HandshakeError
		if !errors.As(err, &failed) || failed.Reason != e2e.ReasonRolledBack && failed.Reason != e2e.ReasonUnknownSession {
			t.Errorf("ended with %v", err)
		}
		wantGap(t, gapIn(t, err, e2e.ErrTruncated), 3)
		_ = node
	})
}

// The limits of time hold across processes: age is counted from the handshake, and a
// session that waited in the store for too long is gone, and swept.
func TestStoredSessionsExpire(t *testing.T) {
	for name, test := range map[string]struct {
		change func(cfg *e2e.ServerConfig)
		away   time.Duration
		left   bool
	}{
		"in time":      {func(cfg *e2e.ServerConfig) { cfg.ParkTimeout = time.Minute }, 20 * time.Second, true},
		"park timeout": {func(cfg *e2e.ServerConfig) { cfg.ParkTimeout = time.Minute }, 61 * time.Second, false},
		"age":          {func(cfg *e2e.ServerConfig) { cfg.MaxAge = time.Minute }, 61 * time.Second, false},
		"idle":         {func(cfg *e2e.ServerConfig) { cfg.IdleTimeout = time.Minute }, 61 * time.Second, false},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				store, r, c, node := aStored(t, test.change)
				old := r.srv
				r.set(func(r *road) { r.closed = true })
				stop(t, old)
				time.Sleep(test.away)
				next := node()
				r.set(func(r *road) { r.srv, r.closed = next, false })
				if test.left {
					mustSend(t, c, "back")
					mustReceive(t, c, "back")
					c.Close()
					return
				}
				gapOf(t, c, e2e.ErrTruncated)
				r.client(t, trusting(alice, bob)).Close() // a new one, which has the store swept
				time.Sleep(time.Second)
				if _, err := store.Store.Load(t.Context(), store.latest().Key); !errors.Is(err, sessionstore.ErrNotStored) {
					t.Errorf("the record is there: %v", err)
				}
			})
		})
	}
	bubble(t, func(t *testing.T) { // the age of a session that was restored
		_, r, c, node := aStored(t, func(cfg *e2e.ServerConfig) { cfg.MaxAge = time.Minute })
		for range 4 {
			time.Sleep(10 * time.Second)
			r.move(node())
			mustSend(t, c, "still here")
			mustReceiveBy(t, c, "still here")
		}
		time.Sleep(20 * time.Second)
		_, err := c.Receive(t.Context())
		var closed *e2e.CloseError
		if !errors.As(err, &closed) || closed.Code != e2e.CodeExpired || !closed.Remote {
			t.Errorf("after its MaxAge: %v", err)
		}
	})
}

// A node whose process was killed while it had a session leaves a record that expires.
func TestRecordsOfLiveSessionsAreRenewed(t *testing.T) {
	bubble(t, func(t *testing.T) {
		store, r, c, node := aStored(t, func(cfg *e2e.ServerConfig) { cfg.ParkTimeout = time.Minute })
		time.Sleep(time.Hour) // nobody says anything
		if left := time.Until(store.latest().Expires); left < time.Minute || left > 2*time.Minute {
			t.Errorf("the record of a session that lives expires in %v", left)
		}
		r.move(node())
		mustSend(t, c, "back")
		mustReceive(t, c, "back")
		c.Close()
		time.Sleep(time.Second)
		if _, err := store.Store.Load(t.Context(), store.latest().Key); !errors.Is(err, sessionstore.ErrNotStored) {
			t.Errorf("a session that was closed is stored: %v", err)
		}
	})
}

// A50: a client that is not welcome any more where it comes back to loses its session for
// good, also where it would be welcome.
func TestA50StoredSessionsOfTheUnwelcome(t *testing.T) {
	bubble(t, func(t *testing.T) {
		store, r, c, node := aStored(t, nil)
		strict := stored(hosting(bob, mallory), store)
		welcome := node()
		r.move(newServer(t, strict, echo))
		gapOf(t, c, e2e.ErrTruncated)
		r.set(func(r *road) { r.srv = welcome })
		time.Sleep(time.Second)
		if _, err := store.Store.Load(t.Context(), store.latest().Key); !errors.Is(err, sessionstore.ErrNotStored) {
			t.Errorf("the session is stored: %v", err)
		}
	})
}

// Nothing follows from a first frame: whoever recorded one cannot take a session away from
// the node that has it, by sending it to another.
func TestFirstFramesClaimNothing(t *testing.T) {
	bubble(t, func(t *testing.T) {
		store := newFlaky()
		var mu sync.Mutex
		var first []byte
		keep := func(m []byte) [][]byte {
			mu.Lock()
			defer mu.Unlock()
			if len(m) == 80 { // r1
				first = bytes.Clone(m)
				return nil // and it is lost
			}
			return [][]byte{m}
		}
		cfg := stored(hosting(bob, alice), store)
		r := &road{srv: newServer(t, cfg, echo), faults: []transport.PipeOption{transport.WithFaults(keep, nil)}}
		c := r.client(t, trusting(alice, bob))
		mustSend(t, c, "one")
		mustReceive(t, c, "one")
		r.cut()
		time.Sleep(5 * time.Second)
		other := newServer(t, cfg, func(ctx context.Context, s *e2e.Session) error {
			t.Error("a recording began a session")
			return nil
		})
		mu.Lock()
		replay := first
		mu.Unlock()
		if replay == nil {
			t.Fatal("no first frame was recorded")
		}
		for range 3 {
			a, b := transport.Pipe()
			done := serve(other, b)
			if err := a.Write(t.Context(), replay); err != nil {
				t.Fatal(err)
			}
			if r2, err := a.Read(t.Context(), nil); err != nil || len(r2) < 2 {
				t.Fatalf("the other node answers %x, %v", r2, err)
			}
			a.Write(t.Context(), make([]byte, 400))
			if err := <-done; err == nil {
				t.Error("the other node was content")
			}
		}
		r.set(func(r *road) { r.faults = nil })
		r.cut()
		mustSend(t, c, "two")
		mustReceive(t, c, "two")
		c.Close()
	})
}

// What has to be said about a store is asked for.
func TestStoreConfig(t *testing.T) {
	good := stored(hosting(bob, alice), sessionstore.Memory())
	for name, change := range map[string]func(cfg *e2e.ServerConfig){
		"keys":       func(cfg *e2e.ServerConfig) { cfg.StoreKeys = nil },
		"empty keys": func(cfg *e2e.ServerConfig) { cfg.StoreKeys = new(keys.SharedKeyset) },
		"parking":    func(cfg *e2e.ServerConfig) { cfg.MaxParked = -1 },
	} {
		cfg := good
		change(&cfg)
		if _, err := e2e.NewServer(cfg, echo); err == nil || !strings.Contains(err.Error(), "Store") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
