package e2e_test

import (
	"context"
	"errors"
	"io"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hopseal/hopseal/e2e"
	"github.com/hopseal/hopseal/e2e/sessionstore"
)

// A deaf store does not return from a call while it is stopped, whatever its context says:
// as files do whose disk, or whose lock, another machine has.
type deafStore struct {
	sessionstore.Store
	stopped atomic.Pointer[chan struct{}]
	waiting atomic.Int64
	panics  atomic.Bool
}

func (s *deafStore) stop() (goOn func()) {
	released := make(chan struct{})
	s.stopped.Store(&released)
	return func() {
		s.stopped.Store(nil)
		close(released)
	}
}

func (s *deafStore) pass() {
	if s.panics.Load() {
		panic("the store is broken")
	}
	if released := s.stopped.Load(); released != nil {
		s.waiting.Add(1)
		<-*released
		s.waiting.Add(-1)
	}
}

func (s *deafStore) Save(ctx context.Context, r sessionstore.Record) error {
	s.pass()
	return s.Store.Save(ctx, r)
}

func (s *deafStore) Find(ctx context.Context, id [32]byte) ([32]byte, []byte, error) {
	s.pass()
	return s.Store.Find(ctx, id)
}

func (s *deafStore) Load(ctx context.Context, key [32]byte) (sessionstore.Record, error) {
	s.pass()
	return s.Store.Load(ctx, key)
}

func (s *deafStore) Delete(ctx context.Context, key [32]byte, version uint64) error {
	s.pass()
	return s.Store.Delete(ctx, key, version)
}

// A58: a store that does not return, whatever its context says, holds up a Send for SendTimeout
// and a Close for a few seconds. Both say so.
func TestA58StoreThatDoesNotReturn(t *testing.T) {
	bubble(t, func(t *testing.T) {
		store := &deafStore{Store: sessionstore.Memory()}
		cfg := stored(trusting(alice, bob), store)
		cfg.StoreName, cfg.SendTimeout = "stops", 20*time.Second
		r := &road{srv: newServer(t, hosting(bob, alice), echo)}
		c := r.client(t, cfg)
		mustSend(t, c, "one")
		mustReceive(t, c, "one")
		time.Sleep(time.Second)
		goOn := store.stop()
		defer goOn()
		began := time.Now()
		err := c.Send(t.Context(), []byte("two"))
		wantStored(t, err, sessionstore.ErrUnavailable)
		if d := time.Since(began); d > 21*time.Second {
			t.Errorf("Send returned after %v", d)
		}
		began = time.Now()
		if err := c.Close(); err == nil {
			t.Error("Close says that all has arrived")
		}
		if d := time.Since(began); d > 10*time.Second {
			t.Errorf("Close returned after %v", d)
		}
	})
}

// A58: Dial does not outlast its context in a store that does not return.
func TestA58DialWithAStoreThatDoesNotReturn(t *testing.T) {
	bubble(t, func(t *testing.T) {
		store := &deafStore{Store: sessionstore.Memory()}
		cfg := stored(trusting(alice, bob), store)
		cfg.StoreName = "stops"
		r := &road{srv: newServer(t, hosting(bob, alice), echo)}
		defer store.stop()()
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		began := time.Now()
		if _, err := e2e.DialFunc(ctx, "road", cfg, r.dial); !errors.Is(err, sessionstore.ErrUnavailable) {
			t.Error(err)
		}
		if d := time.Since(began); d > 6*time.Second {
			t.Errorf("Dial returned after %v", d)
		}
	})
}

// A58: a server whose store does not return for a time turns clients that it would have to ask
// the store for away in time, asks few times, and goes on once the store does.
func TestA58ServerWithAStoreThatDoesNotReturn(t *testing.T) {
	bubble(t, func(t *testing.T) {
		store := &deafStore{Store: sessionstore.Memory()}
		cfg := stored(hosting(bob, alice), store)
		cfg.MaxHandshakesPerAddress = 256
		r := &road{srv: newServer(t, cfg, echo)}
		c := r.client(t, trusting(alice, bob))
		mustSend(t, c, "one")
		mustReceive(t, c, "one")
		time.Sleep(time.Second)
		next := newServer(t, cfg, echo)
		goOn := store.stop()
		r.move(next)
		ended := make(chan error, 300)
		for range cap(ended) {
			go func() {
				_, err := knock(t, next, "192.0.2.1:1", make([]byte, 80))
				ended <- err
			}()
		}
		time.Sleep(time.Minute)
		if n := len(ended); n != cap(ended) {
			t.Errorf("%d of %d strangers were turned away within a minute", n, cap(ended))
		}
		if n := store.waiting.Load(); n > 70 {
			t.Errorf("%d calls of the store are under way", n)
		}
		goOn()
		mustSend(t, c, "two")
		mustReceiveBy(t, c, "two")
		c.Close()
		if err := next.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
	})
}

// A store that panics costs the session, and no place of the server's.
func TestStoreThatPanics(t *testing.T) {
	bubble(t, func(t *testing.T) {
		store := &deafStore{Store: sessionstore.Memory()}
		cfg := stored(hosting(bob, alice), store)
		cfg.MaxSessions, cfg.SendTimeout, cfg.HandshakeTimeout = 1, time.Second, time.Second
		r := &road{srv: newServer(t, cfg, echo)}
		store.panics.Store(true)
		if c, err := e2e.DialFunc(t.Context(), "road", trusting(alice, bob), r.dial); err == nil {
			t.Error("a session that is not stored was begun")
			c.Close()
		}
		time.Sleep(10 * time.Second)
		store.panics.Store(false)
		c := r.client(t, trusting(alice, bob))
		mustSend(t, c, "one")
		mustReceive(t, c, "one")
		c.Close()
	})
}

// A52: Close returns nil only if everything has arrived and the other end knows that this is
// all. A store that does not work meanwhile is no reason to say so, nor to wait for longer.
func TestA52CloseWhileTheStoreIsDown(t *testing.T) {
	bubble(t, func(t *testing.T) {
		store := newFlaky()
		cfg := stored(trusting(alice, bob), store)
		cfg.StoreName = "down"
		end := make(chan error, 1)
		r := &road{srv: newServer(t, hosting(bob, alice), func(ctx context.Context, s *e2e.Session) error {
			err := s.Send(ctx, []byte("taken"))
			if err == nil {
				_, err = s.Receive(ctx)
			}
			end <- err
			return err
		})}
		c := r.client(t, cfg)
		mustReceive(t, c, "taken")
		time.Sleep(time.Second)
		store.set(func(f *flaky) { f.err = errDown })
		began := time.Now()
		err := c.Close()
		if d := time.Since(began); d > 10*time.Second {
			t.Errorf("Close returned after %v", d)
		}
		synctest.Wait()
		told := false
		select {
		case why := <-end:
			told = errors.Is(why, io.EOF)
		default:
		}
		if (err == nil) != told {
			t.Errorf("Close: %v; the other end was told: %v", err, told)
		}
		store.set(func(f *flaky) { f.err = nil })
	})
}

// A52: a session that has gone on elsewhere is not closed by the Close of the process that has
// lost it, which cannot know whether all has arrived.
func TestA52CloseOfASessionThatGoesOnElsewhere(t *testing.T) {
	bubble(t, func(t *testing.T) {
		cfg := stored(trusting(alice, bob), sessionstore.Memory())
		cfg.StoreName = "elsewhere"
		hold := make(chan struct{})
		r := &road{srv: newServer(t, stored(hosting(bob, alice), sessionstore.Memory()), func(ctx context.Context, s *e2e.Session) error {
			<-hold // nothing is taken, so nothing is acknowledged
			return echo(ctx, s)
		})}
		c := r.client(t, cfg)
		mustSend(t, c, "one")
		next := r.client(t, cfg)
		for {
			if err := c.Send(t.Context(), []byte("late")); err != nil {
				wantStored(t, err, sessionstore.ErrFenced)
				break
			}
			time.Sleep(time.Second)
		}
		if err := c.Close(); !errors.Is(err, sessionstore.ErrFenced) {
			t.Errorf("Close: %v", err)
		}
		close(hold)
		mustReceive(t, next, "one")
		next.Close()
	})
}

// An alwaysFenced store says of each record that somebody else has saved, and returns the one
// before again.
type alwaysFenced struct {
	sessionstore.Store
	on    atomic.Bool
	saves atomic.Int64
}

func (a *alwaysFenced) Save(ctx context.Context, r sessionstore.Record) error {
	if a.on.Load() {
		if a.saves.Add(1) > 5000 {
			panic("it is asked without a pause")
		}
		return sessionstore.ErrFenced
	}
	return a.Store.Save(ctx, r)
}

// Whoever takes a session over from a store that does not make up its mind asks it now and then,
// for SendTimeout or as long as a handshake may take.
func TestStoreThatFencesEverybody(t *testing.T) {
	bubble(t, func(t *testing.T) {
		store := &alwaysFenced{Store: sessionstore.Memory()}
		cfg := stored(trusting(alice, bob), store)
		cfg.StoreName, cfg.SendTimeout = "fenced", 10*time.Second
		r := &road{srv: newServer(t, stored(hosting(bob, alice), store), echo)}
		c := r.client(t, cfg)
		mustSend(t, c, "one")
		time.Sleep(time.Second)
		store.on.Store(true)
		began := time.Now()
		if _, err := e2e.DialFunc(t.Context(), "road", cfg, r.dial); !errors.Is(err, sessionstore.ErrUnavailable) {
			t.Errorf("Dial: %v", err)
		}
		if d := time.Since(began); d > 11*time.Second {
			t.Errorf("Dial returned after %v", d)
		}
		if n := store.saves.Load(); n > 300 {
			t.Errorf("the store was asked %d times by a client", n)
		}
		store.saves.Store(0)
		next := newServer(t, stored(hosting(bob, alice), store), echo)
		r.move(next) // c's process has not heard of anything
		time.Sleep(30 * time.Second)
		if n := store.saves.Load(); n > 1000 {
			t.Errorf("the store was asked %d times by a server", n)
		}
		store.on.Store(false)
		c.Close()
	})
}
