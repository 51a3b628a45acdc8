package e2e_test

import (
	"bytes"
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/hopseal/hopseal/e2e"
	"github.com/hopseal/hopseal/e2e/sessionstore"
)

// A shelf is a store that counts what is written to it, and gives parts as a test likes.
type shelf struct {
	sessionstore.Store
	mu      sync.Mutex
	written int
	parts   []sessionstore.Part
	give    func(asked int, all []sessionstore.Part) ([]byte, error)
}

func (s *shelf) Save(ctx context.Context, r sessionstore.Record) error {
	s.mu.Lock()
	s.written += len(r.Data)
	s.mu.Unlock()
	return s.Store.Save(ctx, r)
}

func (s *shelf) SavePart(ctx context.Context, p sessionstore.Part) error {
	s.mu.Lock()
	s.written += len(p.Data)
	s.parts = append(s.parts, p)
	s.mu.Unlock()
	return s.Store.SavePart(ctx, p)
}

func (s *shelf) LoadPart(ctx context.Context, key, id [32]byte) ([]byte, error) {
	s.mu.Lock()
	give, parts := s.give, s.parts
	s.mu.Unlock()
	for i, p := range parts {
		if give != nil && p.ID == id {
			return give(i, parts)
		}
	}
	return s.Store.LoadPart(ctx, key, id)
}

// onShelf is a server that sends 200 messages of 10 kB, of which its client takes none before
// the server's process has ended.
func onShelf(t *testing.T) (store *shelf, r *road, c *e2e.Session) {
	t.Helper()
	store = &shelf{Store: sessionstore.Memory()}
	scfg, ccfg := stored(hosting(bob, alice), store), stored(trusting(alice, bob), sessionstore.Memory())
	scfg.Window, ccfg.Window, ccfg.StoreName = 16<<20, 16<<20, "shelf"
	sent := make(chan struct{})
	first := newServer(t, scfg, func(ctx context.Context, s *e2e.Session) error {
		for n := range 200 {
			if err := s.Send(ctx, bytes.Repeat(fmt.Appendf(nil, "%05d", n), 2000)); err != nil {
				t.Error(err)
			}
		}
		close(sent)
		<-ctx.Done()
		return nil
	})
	r = &road{srv: first}
	c = r.client(t, ccfg)
	<-sent
	r.set(func(r *road) { r.closed = true })
	stop(t, first)
	r.set(func(r *road) { r.srv, r.closed = newServer(t, scfg, echo), false })
	return store, r, c
}

// What is not acknowledged is stored once, and goes on in the next process; what has been
// acknowledged goes from the store.
func TestStoredMessagesAreStoredOnce(t *testing.T) {
	bubble(t, func(t *testing.T) {
		store, r, c := onShelf(t)
		const payload = 200 * 10_000
		if n := store.written; n < payload || n > 8*payload {
			t.Errorf("%d bytes were written for %d bytes of messages", n, payload)
		}
		for n := range 200 {
			mustReceive(t, c, string(bytes.Repeat(fmt.Appendf(nil, "%05d", n), 2000)))
		}
		mustSend(t, c, "all")
		mustReceive(t, c, "all")
		time.Sleep(time.Second)
		mustSend(t, c, "one more") // and this record names no parts
		mustReceive(t, c, "one more")
		time.Sleep(time.Second)
		for i, p := range store.parts {
			if _, err := store.Store.LoadPart(t.Context(), p.Key, p.ID); err == nil {
				t.Errorf("part %d of %d is there though all has arrived", i, len(store.parts))
			}
		}
		if len(store.parts) < 10 {
			t.Errorf("%d parts", len(store.parts))
		}
		c.Close()
		_ = r
	})
}

// A part that is missing, changed or exchanged for another is noticed: the session is unknown,
// rather than one with a hole.
func TestStoredPartsOpenInTheirPlaceOnly(t *testing.T) {
	for name, give := range map[string]func(i int, all []sessionstore.Part) ([]byte, error){
		"missing": func(int, []sessionstore.Part) ([]byte, error) { return nil, sessionstore.ErrNotStored },
		"empty":   func(int, []sessionstore.Part) ([]byte, error) { return nil, nil },
		"changed": func(i int, all []sessionstore.Part) ([]byte, error) {
			data := bytes.Clone(all[i].Data)
			data[len(data)-1] ^= 1
			return data, nil
		},
		"cut short": func(i int, all []sessionstore.Part) ([]byte, error) { return all[i].Data[:len(all[i].Data)-1], nil },
		"the next":  func(i int, all []sessionstore.Part) ([]byte, error) { return all[(i+1)%len(all)].Data, nil },
		"the first": func(_ int, all []sessionstore.Part) ([]byte, error) { return all[0].Data, nil },
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				store, r, c := onShelf(t)
				store.mu.Lock()
				store.give = give
				store.mu.Unlock()
				r.cut()
				got := 0
				for {
					_, err := c.Receive(context.Background())
					if err == nil {
						got++
						continue
					}
					gapIn(t, err, e2e.ErrTruncated)
					break
				}
				t.Logf("%d had arrived", got)
			})
		})
	}
}
