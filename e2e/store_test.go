package e2e_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hopseal/hopseal/e2e"
	"github.com/hopseal/hopseal/e2e/mux"
	"github.com/hopseal/hopseal/e2e/sessionstore"
	"github.com/hopseal/hopseal/keys"
	"github.com/hopseal/hopseal/transport"
)

var storeKeys = newKeyset()

func newKeyset() *keys.SharedKeyset {
	set, err := keys.GenerateSharedKeyset()
	if err != nil {
		panic(err)
	}
	return set
}

// stored is a Config with a store.
func stored[C anyConfig](cfg C, store sessionstore.Store) C {
	options(&cfg).Store, options(&cfg).StoreKeys = store, storeKeys
	return cfg
}

// stop ends a server as a deployment does.
func stop(t testing.TB, srv *e2e.Server) {
	t.Helper()
	if err := srv.Shutdown(context.Background()); err != nil {
		t.Error(err)
	}
}

// wantStored checks that only this end of a session is over.
func wantStored(t testing.TB, err, want error) {
	t.Helper()
	var closed *e2e.CloseError
	if !errors.As(err, &closed) || !closed.Stored || closed.Gap != nil || want != nil && !errors.Is(err, want) {
		t.Errorf("ended with %v, want a session that is stored, for %v", err, want)
	}
}

// A session goes on when its server's program ends and another begins: the function runs
// again, what was under way arrives, and nothing that was taken comes again.
func TestStoreSurvivesARestart(t *testing.T) {
	bubble(t, func(t *testing.T) {
		store := sessionstore.Memory()
		type run struct {
			restored bool
			heard    []string
		}
		var mu sync.Mutex
		var runs []*run
		handle := func(ctx context.Context, s *e2e.Session) error {
			r := &run{restored: s.Restored()}
			mu.Lock()
			runs = append(runs, r)
			mu.Unlock()
			for {
				message, err := s.Receive(ctx)
				if err != nil {
					if !errors.Is(err, io.EOF) {
						wantStored(t, err, nil)
					}
					return err
				}
				mu.Lock()
				r.heard = append(r.heard, string(message))
				mu.Unlock()
				if err := s.Send(ctx, append([]byte("re: "), message...)); err != nil {
					return err
				}
			}
		}
		r := &road{srv: newServer(t, stored(hosting(bob, alice), store), handle)}
		ccfg := trusting(alice, bob)
		ccfg.Notify = func(e e2e.Event) { t.Log(e.State, e.Err) }
		c := r.client(t, ccfg)
		mustSend(t, c, "one")
		mustReceive(t, c, "re: one")
		synctest.Wait() // the function asks for the next
		for i := range 3 {
			next := newServer(t, stored(hosting(bob, alice), store), handle)
			old := r.srv
			r.set(func(r *road) { r.closed = true })
			stop(t, old)
			mustSendLater(t, c, fmt.Sprint("while away ", i))
			r.set(func(r *road) { r.srv, r.closed = next, false })
			mustReceive(t, c, fmt.Sprint("re: while away ", i))
			synctest.Wait()
		}
		c.Close()
		synctest.Wait()
		var got []string
		for i, r := range runs {
			if r.restored != (i > 0) {
				t.Errorf("run %d: restored %v", i, r.restored)
			}
			got = append(got, r.heard...)
		}
		if want := "[one while away 0 while away 1 while away 2]"; fmt.Sprint(got) != want {
			t.Errorf("the functions heard %v, want %s", got, want)
		}
		stop(t, r.srv)
		r.set(func(r *road) { r.srv = newServer(t, stored(hosting(bob, alice), store), handle) })
	})
}

// mustReceiveBy receives up to a message. Before it may come, again, what the other
// application had not asked behind.
func mustReceiveBy(t testing.TB, s *e2e.Session, want string) {
	t.Helper()
	for {
		got, err := s.Receive(t.Context())
		if err != nil {
			t.Fatalf("Receive: %v, want %q", err, want)
		}
		if string(got) == want {
			return
		}
	}
}

// mustSendLater sends in the background what has to wait for a line.
func mustSendLater(t testing.TB, s *e2e.Session, message string) {
	t.Helper()
	go func() {
		if err := s.Send(context.Background(), []byte(message)); err != nil {
			t.Errorf("Send: %v", err)
		}
	}()
}

// A client whose program ends goes on in the next one, by the name of its session.
func TestStoreOfAClient(t *testing.T) {
	bubble(t, func(t *testing.T) {
		store := sessionstore.Memory()
		sessions := make(chan *e2e.Session, 3)
		r := &road{srv: newServer(t, hosting(bob, alice), func(ctx context.Context, s *e2e.Session) error {
			sessions <- s
			<-ctx.Done()
			return nil
		})}
		cfg := stored(trusting(alice, bob), store)
		if _, err := e2e.DialFunc(t.Context(), "road", cfg, r.dial); err == nil {
			t.Error("a session without a name was stored")
		}
		cfg.StoreName = "orders"
		c := r.client(t, cfg)
		s := <-sessions
		if c.Restored() {
			t.Error("a new session is restored")
		}
		r.set(func(r *road) { r.closed = true })
		mustSend(t, c, "one") // on the line, and nobody takes it yet
		mustSend(t, s, "to be taken")
		mustSend(t, s, "not taken")
		r.cut()
		time.Sleep(time.Second)
		r.set(func(r *road) { r.closed = false })
		mustReceive(t, c, "to be taken")
		time.Sleep(time.Second) // long enough for an ack, if it counted as taken
		r.set(func(r *road) { r.closed = true })
		r.cut()

		// The program is gone; its session object is what a kill leaves of it.
		r.set(func(r *road) { r.closed = false })
		again := r.client(t, cfg)
		if !again.Restored() || again.Peer().Fingerprint() != bob.Fingerprint() {
			t.Error("the session is not restored")
		}
		mustReceive(t, s, "one")
		mustReceive(t, again, "to be taken") // the application had not asked behind it
		mustReceive(t, again, "not taken")
		mustSend(t, again, "two")
		mustReceive(t, s, "two")
		var err error
		for err == nil { // the one that was taken over finds out
			_, err = c.Receive(t.Context())
		}
		wantStored(t, err, sessionstore.ErrFenced)
		again.Close()
		wantEnd(t, s, e2e.CloseError{Remote: true}, true)

		if fresh := r.client(t, cfg); fresh.Restored() {
			t.Error("a session that was closed came back")
		} else {
			fresh.Close()
		}
	})
}

// A client whose session is over when it comes back is told so once, with the gap.
func TestStoreOfAClientGivesTheGap(t *testing.T) {
	bubble(t, func(t *testing.T) {
		store := sessionstore.Memory()
		cfg := stored(trusting(alice, bob), store)
		cfg.StoreName = "orders"
		idle := func(ctx context.Context, s *e2e.Session) error { <-ctx.Done(); return nil }
		r := &road{srv: newServer(t, hosting(bob, alice), idle)}
		c := r.client(t, cfg)
		mustSend(t, c, "one")
		mustSend(t, c, "two")
		r.set(func(r *road) { r.srv = newServer(t, hosting(bob, alice), idle) })
		_, err := e2e.DialFunc(t.Context(), "road", cfg, r.dial)
		wantGap(t, gapIn(t, err, e2e.ErrTruncated), 1, "one", "two")
		if failed := new(e2e.HandshakeError); !errors.As(err, &failed) || failed.Reason != e2e.ReasonUnknownSession {
			t.Error(err)
		}
		if fresh := r.client(t, cfg); fresh.Restored() {
			t.Error("the session came back")
		} else {
			fresh.Close()
		}
		_ = c
	})
}

// Two servers on one store: the client goes from one to the other and back, and the one
// that has lost the session ends its function.
func TestStoreFencing(t *testing.T) {
	bubble(t, func(t *testing.T) {
		store := sessionstore.Memory()
		ends := make(chan error, 100)
		handle := func(ctx context.Context, s *e2e.Session) error {
			err := echo(ctx, s)
			ends <- err
			return err
		}
		nodes := []*e2e.Server{}
		for range 2 {
			nodes = append(nodes, newServer(t, stored(hosting(bob, alice), store), handle))
		}
		r := &road{srv: nodes[0]}
		c := r.client(t, trusting(alice, bob))
		mustSend(t, c, "hello")
		mustReceive(t, c, "hello")
		for i := range 6 {
			r.set(func(r *road) { r.srv = nodes[(i+1)%2] })
			r.cut()
			mustSend(t, c, fmt.Sprint(i))
			mustReceiveBy(t, c, fmt.Sprint(i))
			wantStored(t, <-ends, sessionstore.ErrFenced)
		}
		c.Close()
		if err := <-ends; errors.Is(err, sessionstore.ErrFenced) {
			t.Error(err)
		}
		_ = transport.CodeNormal
	})
}

// Calls, refusals and signatures work in sessions that are stored; an answer is not kept
// back by a message that has to wait.
func TestStoredSessionsCallAndSign(t *testing.T) {
	for _, proof := range []e2e.Proof{e2e.ProofNone, e2e.ProofEd25519} {
		store := sessionstore.Memory()
		scfg, ccfg := stored(hosting(bob, alice), store), stored(trusting(alice, bob), store)
		scfg.Proof, ccfg.Proof, ccfg.StoreName = proof, proof, "calls"
		scfg.Window, ccfg.Window = 64<<10, 64<<10
		hold, release := context.WithCancel(context.Background())
		router := mux.New()
		router.Handle("upper", upper)
		router.Handle("one-way", func(_ context.Context, r *e2e.Request) ([]byte, error) {
			<-hold.Done()
			return nil, nil
		})
		srv := newServer(t, scfg, router.Serve)
		t.Cleanup(release)
		c, err := e2e.DialFunc(t.Context(), "pipe", ccfg, func(context.Context) (transport.Conn, error) {
			a, b := transport.Pipe()
			serve(srv, b)
			return a, nil
		})
		if err != nil {
			t.Fatal(err)
		}
		var work sync.WaitGroup
		for range 4 { // more than the window has room for
			work.Go(func() {
				if _, err := c.SendMessage(context.Background(), "one-way", make([]byte, 60_000)); err != nil {
					t.Error(err)
				}
			})
		}
		for i := range 10 {
			m := fmt.Sprint("m", i)
			mustCall(t, c, "upper", m, strings.ToUpper(m))
		}
		_, err = c.Call(t.Context(), "unknown", nil)
		wantRefused(t, err, 0, e2e.RefusedType)
		release()
		work.Wait()
		c.Close()
	}
}

// A50: a session whose client has renewed its credentials is there for its next process,
// though nothing was said since.
func TestA50StoreOfAClientThatHasRenewed(t *testing.T) {
	bubble(t, func(t *testing.T) {
		scfg := hosting(bob, alice)
		scfg.Authenticate = func(context.Context, e2e.Peer, []byte) (e2e.Grant, error) {
			return e2e.Grant{Expires: time.Now().Add(4 * time.Minute)}, nil
		}
		r := &road{srv: newServer(t, scfg, echo)}
		cfg := stored(trusting(alice, bob), sessionstore.Memory())
		cfg.StoreName = "orders"
		cfg.Credentials = func(context.Context) ([]byte, error) { return []byte("again"), nil }
		c := r.client(t, cfg)
		mustSend(t, c, "one")
		mustReceive(t, c, "one")
		time.Sleep(3*time.Minute + 30*time.Second) // renewed
		r.set(func(r *road) { r.closed = true })
		r.cut() // the program is gone
		time.Sleep(time.Minute)
		r.set(func(r *road) { r.closed = false })
		again := r.client(t, cfg)
		if !again.Restored() {
			t.Error("the session is not restored")
		}
		again.Close()
		c.Close()
	})
}

// A record that has expired, and that nobody has swept, is in nobody's way.
func TestStoreOfAClientThatComesTooLate(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := &road{srv: newServer(t, hosting(bob, alice), echo)}
		store := sessionstore.Memory()
		first := &leftBehind{Store: store}
		cfg := stored(trusting(alice, bob), first)
		cfg.StoreName = "orders"
		c := r.client(t, cfg)
		mustSend(t, c, "one")
		mustReceive(t, c, "one")
		r.set(func(r *road) { r.closed = true })
		first.gone.Store(true)
		r.cut() // the program is gone
		cfg.Store = store
		time.Sleep(cfg.MaxAge + 25*time.Hour)
		r.set(func(r *road) { r.closed = false })
		again := r.client(t, cfg)
		if again.Restored() {
			t.Error("a session that has expired came back")
		}
		mustSend(t, again, "two")
		mustReceive(t, again, "two")
		again.Close()
		c.Close()
	})
}

// leftBehind is a store whose process is killed.
type leftBehind struct {
	sessionstore.Store
	gone atomic.Bool
}

var errGone = errors.New("the process is gone")

func (l *leftBehind) Save(ctx context.Context, s sessionstore.Record) error {
	if l.gone.Load() {
		return errGone
	}
	return l.Store.Save(ctx, s)
}

func (l *leftBehind) Delete(ctx context.Context, key [32]byte, version uint64) error {
	if l.gone.Load() {
		return errGone
	}
	return l.Store.Delete(ctx, key, version)
}
