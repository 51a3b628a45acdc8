package e2e_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hopseal/hopseal/e2e"
	"github.com/hopseal/hopseal/e2e/sessionstore"
	"github.com/hopseal/hopseal/transport"
)

// A tardy connection of a server's takes its time behind its second frame, the r4 of a resume:
// before Write returns, or when it is asked what it is.
type tardy struct {
	transport.Conn
	within  string
	writes  int
	once    sync.Once
	reached chan struct{}
	release chan struct{}
}

func (c *tardy) wait(within string) {
	if c.writes == 2 && c.within == within {
		c.once.Do(func() {
			close(c.reached)
			<-c.release
		})
	}
}

func (c *tardy) Write(ctx context.Context, frame []byte) error {
	err := c.Conn.Write(ctx, frame)
	c.writes++
	c.wait("Write")
	return err
}

func (c *tardy) Info() transport.Info {
	c.wait("Info")
	return c.Conn.Info()
}

// A hushed connection of a client's is one on which a hop holds back all behind r3.
type hushed struct {
	transport.Conn
	writes int
}

func (h *hushed) Write(ctx context.Context, frame []byte) error {
	if h.writes++; h.writes > 2 {
		return nil
	}
	return h.Conn.Write(ctx, frame)
}

// A53: a line is not a session's that another commit has overtaken, at whatever moment that
// comes: where nothing else follows, the session waits for its client, and ends in time.
func TestA53LineOvertakenWhileItIsAttached(t *testing.T) {
	for _, restored := range []bool{false, true} {
		for _, within := range []string{"Write", "Info"} {
			t.Run(fmt.Sprint("restored ", restored, ", within ", within), func(t *testing.T) {
				bubble(t, func(t *testing.T) { overtakenWhileAttached(t, restored, within) })
			})
		}
	}
}

func overtakenWhileAttached(t *testing.T, restored bool, within string) {
	server := stored(hosting(bob, alice), sessionstore.Memory())
	server.ParkTimeout = time.Minute
	begun := make(chan *e2e.Session, 1)
	handle := func(ctx context.Context, s *e2e.Session) error {
		begun <- s
		<-ctx.Done()
		return nil
	}
	srv := newServer(t, server, handle)
	r := &road{srv: srv}
	r.client(t, trusting(alice, bob))
	s := <-begun

	slow := &tardy{within: within, reached: make(chan struct{}), release: make(chan struct{})}
	leaves, breaks := make(chan struct{}), make(chan struct{}, 1)
	breaks <- struct{}{}
	var links int
	r.set(func(r *road) {
		r.atServer = func(c transport.Conn) transport.Conn {
			if links++; links == 1 {
				slow.Conn = c
				return slow
			}
			return &mute{Conn: c, breaks: breaks, broke: func() { r.set(func(r *road) { r.closed = true }) }}
		}
		r.atClient = func(c transport.Conn) transport.Conn {
			if links == 0 {
				return &hushed{Conn: &leaving{Conn: c, leaves: leaves}}
			}
			return c
		}
		if restored {
			r.srv = newServer(t, server, handle)
		}
	})
	if restored {
		stop(t, srv)
	}
	r.cut()
	<-slow.reached
	time.Sleep(time.Second)
	close(leaves) // of which the server learns nothing
	time.Sleep(5 * time.Second)
	if len(breaks) > 0 {
		t.Fatal("no later attempt was committed")
	}
	began := time.Now()
	close(slow.release)
	if restored {
		s = <-begun
	}
	synctest.Wait()
	<-s.Done()
	if took := time.Since(began); took > server.ParkTimeout+5*time.Second {
		t.Errorf("the session ended after %v", took)
	}
}

// A stuck connection of a server's takes its second frame only when it is closed, or when the
// context ends.
type stuck struct {
	transport.Conn
	writes int
	closed chan struct{}
	once   sync.Once
}

func (c *stuck) Write(ctx context.Context, frame []byte) error {
	if c.writes++; c.writes != 2 {
		return c.Conn.Write(ctx, frame)
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-c.closed:
		return net.ErrClosed
	}
}

func (c *stuck) Close(code transport.Code, reason string) error {
	c.once.Do(func() { close(c.closed) })
	return c.Conn.Close(code, reason)
}

// A54: a client that is not trusted any more ends its session, and so does its record in the
// store, though it does not read that it was refused, and the store is written meanwhile.
func TestA54RefusedClientThatDoesNotRead(t *testing.T) {
	bubble(t, func(t *testing.T) {
		verifier := &bouncer{}
		kept := &keptStore{Store: sessionstore.Memory()}
		server := stored(hosting(bob, alice), kept)
		server.Verifier = verifier
		begun, ended := make(chan *e2e.Session, 1), make(chan error, 1)
		r := &road{srv: newServer(t, server, func(ctx context.Context, s *e2e.Session) error {
			begun <- s
			_, err := s.Receive(context.Background())
			ended <- err
			return err
		})}
		r.client(t, trusting(alice, bob))
		<-begun
		verifier.say(errNo)
		r.set(func(r *road) {
			r.atServer = func(c transport.Conn) transport.Conn { return &stuck{Conn: c, closed: make(chan struct{})} }
		})
		r.cut()
		var closed *e2e.CloseError
		if err := <-ended; !errors.As(err, &closed) || closed.Stored || !errors.Is(err, e2e.ErrUntrusted) {
			t.Errorf("the session ended with %v", err)
		}
		time.Sleep(5 * time.Second)
		if kept.deleted.Load() == 0 {
			t.Error("the record is still there")
		}
	})
}

// A keptStore counts what is deleted.
type keptStore struct {
	sessionstore.Store
	deleted atomic.Int64
}

func (s *keptStore) Delete(ctx context.Context, key [32]byte, version uint64) error {
	s.deleted.Add(1)
	return s.Store.Delete(ctx, key, version)
}

// A lingering connection of a server's hands its second frame, the m4 of a handshake, on, and
// says only when it is closed that it has failed.
type lingering struct {
	stuck
}

func (c *lingering) Write(ctx context.Context, frame []byte) error {
	if c.writes == 1 {
		c.Conn.Write(ctx, frame)
	}
	return c.stuck.Write(ctx, frame)
}

// A53: a handshake whose last frame is said to be lost ends no session whose client has come
// back on another connection: it has had the frame.
func TestA53HandshakeThatFailsBehindAResume(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := &road{srv: newServer(t, hosting(bob, alice), echo)}
		leaves := make(chan struct{})
		r.atServer = func(c transport.Conn) transport.Conn {
			return &lingering{stuck{Conn: c, closed: make(chan struct{})}}
		}
		r.atClient = func(c transport.Conn) transport.Conn { return &leaving{Conn: c, leaves: leaves} }
		c := r.client(t, trusting(alice, bob))
		r.set(func(r *road) { r.atServer, r.atClient = nil, nil })
		close(leaves)
		for range 3 {
			time.Sleep(time.Second)
			mustSend(t, c, "hello")
			mustReceive(t, c, "hello")
		}
		if links := r.links(); links != 2 {
			t.Errorf("%d connections", links)
		}
	})
}
