package e2e_test

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hopseal/hopseal/e2e"
	"github.com/hopseal/hopseal/e2e/sessionstore"
	"github.com/hopseal/hopseal/transport"
)

// epochs notes the records of each type, and the epochs, that go by.
type epochs struct {
	mu    sync.Mutex
	types map[byte]int
	seen  map[byte]bool
}

// isRecord tells records from the frames before them, none of which is so long.
func isRecord(frame []byte) bool { return len(frame)%64 == 1+16 }

func newEpochs() *epochs { return &epochs{types: map[byte]int{}, seen: map[byte]bool{}} }

func (e *epochs) tap(message []byte) [][]byte {
	e.mu.Lock()
	defer e.mu.Unlock()
	if isRecord(message) {
		e.types[message[0]&0x1f]++
		e.seen[message[0]>>6] = true
	}
	return [][]byte{message}
}

func (e *epochs) count(kind byte) int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.types[kind]
}

// Two ends that talk for hours change their keys every quarter of an hour. Their messages
// do not notice, nor do those of a session that has been resumed meanwhile, nor does a
// server fail to find a session whose link is lost right behind a rekey.
func TestRekeysUnderTraffic(t *testing.T) {
	const typeRequest, typeSwitch = 7, 9
	for name, cuts := range map[string]bool{"one link": false, "many links": true} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				up, down := newEpochs(), newEpochs()
				srv := newServer(t, hosting(bob, alice), echo)
				r := &road{srv: srv, faults: []transport.PipeOption{transport.WithFaults(up.tap, down.tap)}}
				c := r.client(t, trusting(alice, bob))
				const count, hours = 1200, 4
				var sent sync.WaitGroup
				sent.Go(func() {
					for _, message := range messages(count) {
						mustSend(t, c, message)
						time.Sleep(hours * time.Hour / count)
					}
				})
				for i, message := range messages(count) {
					mustReceive(t, c, message)
					if cuts && i%40 == 39 {
						r.cut()
					}
				}
				sent.Wait()
				synctest.Wait()
				if n, all := c.Stats().Rekeys, srv.Stats().Rekeys; n < 12 || all < 12 {
					t.Errorf("%d rekeys are counted at the client, %d at the server", n, all)
				}
				requests, switches := up.count(typeRequest), min(up.count(typeSwitch), down.count(typeSwitch))
				if cuts && requests < 12 || !cuts && (requests < 14 || requests > 16 || switches != requests || len(up.seen) < 4 || len(down.seen) < 4) {
					t.Errorf("in %d hours and %d links %d rekeys, of which %d were done, and %d epochs", hours, r.links(), requests, switches, len(up.seen))
				}
			})
		})
	}
}

// The link is lost at each record of a rekey in turn: the client comes back with
// whichever secret it has, to a server that finds the session under it.
func TestLinkLostDuringRekey(t *testing.T) {
	for _, at := range []byte{7, 8, 9} {
		for _, arrives := range []bool{true, false} {
			bubble(t, func(t *testing.T) {
				var r *road
				var armed atomic.Bool
				armed.Store(true)
				tap := func(message []byte) [][]byte {
					if message[0]&0x1f != at || !isRecord(message) || !armed.CompareAndSwap(true, false) {
						return [][]byte{message}
					}
					go r.cut()
					if arrives {
						return [][]byte{message}
					}
					return nil
				}
				r = &road{srv: newServer(t, hosting(bob, alice), echo), faults: []transport.PipeOption{transport.WithFaults(tap, tap)}}
				c := r.client(t, trusting(alice, bob))
				for _, message := range messages(100) {
					mustSend(t, c, message)
					mustReceive(t, c, message)
					time.Sleep(time.Minute)
				}
				if armed.Load() || r.links() != 2 {
					t.Errorf("type %d: there were %d links", at, r.links())
				}
			})
		}
	}
}

// A session that nobody uses sleeps: no rekey, and no timer that runs all the time.
func TestIdleSessionsDoNotRekey(t *testing.T) {
	bubble(t, func(t *testing.T) {
		up := newEpochs()
		cfg, scfg := trusting(alice, bob), hosting(bob, alice)
		cfg.KeepAlive, scfg.KeepAlive = -1, -1
		r := &road{srv: newServer(t, scfg, echo), faults: []transport.PipeOption{transport.WithFaults(up.tap, nil)}}
		c := r.client(t, cfg)
		mustSend(t, c, "hello")
		mustReceive(t, c, "hello")
		time.Sleep(5 * time.Hour)
		if n := up.count(7); n > 0 {
			t.Errorf("%d rekeys of a session that was idle", n)
		}
		mustSend(t, c, "hello")
		mustReceive(t, c, "hello")
		synctest.Wait()
		if n := up.count(7); n != 1 {
			t.Errorf("%d rekeys when it was used again", n)
		}
	})
}

// The same where the client comes back to another node, which has of the session what is
// in the store.
func TestNodeLostDuringRekey(t *testing.T) {
	for _, at := range []byte{7, 8, 9} {
		bubble(t, func(t *testing.T) {
			store := sessionstore.Memory()
			node := func() *e2e.Server { return newServer(t, stored(hosting(bob, alice), store), echo) }
			next := node()
			var r *road
			var armed atomic.Bool
			armed.Store(true)
			tap := func(message []byte) [][]byte {
				if message[0]&0x1f == at && isRecord(message) && armed.CompareAndSwap(true, false) {
					go func() {
						r.set(func(r *road) { r.srv = next })
						r.cut()
					}()
				}
				return [][]byte{message}
			}
			r = &road{srv: node(), faults: []transport.PipeOption{transport.WithFaults(tap, tap)}}
			c := r.client(t, trusting(alice, bob))
			for _, message := range messages(50) {
				mustSend(t, c, message)
				mustReceiveBy(t, c, message)
				time.Sleep(time.Minute)
			}
			if armed.Load() || r.links() != 2 || next.Stats().Sessions != 1 || c.Stats().Rekeys < 2 {
				t.Errorf("type %d: there were %d links and %d rekeys", at, r.links(), c.Stats().Rekeys)
			}
		})
	}
}

// A client whose application says nothing behind a rekey still speaks under the new keys at
// once: until it does, its server keeps the resume secret that the rekey has replaced.
func TestRekeyIsConfirmedAtOnce(t *testing.T) {
	bubble(t, func(t *testing.T) {
		up := newEpochs()
		atServer, atClient := hosting(bob, alice), trusting(alice, bob)
		atServer.KeepAlive, atClient.KeepAlive = -1, -1 // which would confirm it too, later
		srv := newServer(t, atServer, func(ctx context.Context, s *e2e.Session) error {
			_, err := s.Receive(ctx)
			<-ctx.Done()
			return err
		})
		r := &road{srv: srv, faults: []transport.PipeOption{transport.WithFaults(up.tap, nil)}}
		c := r.client(t, atClient)
		time.Sleep(16 * time.Minute)
		mustSend(t, c, "the only message")
		time.Sleep(time.Second)
		up.mu.Lock()
		confirmed := up.seen[1]
		up.mu.Unlock()
		if n := c.Stats().Rekeys; n != 1 || !confirmed {
			t.Errorf("%d rekeys; the server was told of the last one: %v", n, confirmed)
		}
	})
}
