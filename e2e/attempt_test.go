package e2e_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hopseal/hopseal/e2e"
	"github.com/hopseal/hopseal/e2e/mux"
	"github.com/hopseal/hopseal/e2e/sessionstore"
	"github.com/hopseal/hopseal/keys"
	"github.com/hopseal/hopseal/keys/trust"
	"github.com/hopseal/hopseal/transport"
	"github.com/hopseal/hopseal/transport/redial"
)

// A holder is a hop that keeps a client's frame n of the next connection back until it is
// let go.
type holder struct {
	n int

	mu      sync.Mutex
	armed   bool
	release chan struct{}
}

func (h *holder) arm() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.armed, h.release = true, make(chan struct{})
}

func (h *holder) before(conn transport.Conn) transport.Conn {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.armed {
		return conn
	}
	h.armed = false
	return &holding{Conn: conn, holder: h}
}

type holding struct {
	transport.Conn
	holder *holder
	reads  int
}

func (c *holding) Read(ctx context.Context, dst []byte) ([]byte, error) {
	if c.reads++; c.reads == c.holder.n {
		<-c.holder.release
	}
	return c.Conn.Read(ctx, dst)
}

// late is the setting of the tests below: a client whose handshakes time out soon, a server
// that waits longer, and a hop that holds an r3 back.
type late struct {
	holder
	road *road
	c    *e2e.Session
	s    *e2e.Session
	ends chan error
}

func newLate(t *testing.T, server e2e.ServerConfig, client e2e.Config) *late {
	t.Helper()
	l := &late{holder: holder{n: 2}, ends: make(chan error, 9)}
	client.HandshakeTimeout = time.Second
	client.Retry = redial.Policy{Base: time.Millisecond, Cap: 10 * time.Millisecond}
	begun := make(chan *e2e.Session, 9)
	l.road = &road{srv: newServer(t, server, func(ctx context.Context, s *e2e.Session) error {
		begun <- s
		err := echo(ctx, s)
		l.ends <- err
		return err
	}), atServer: l.before}
	l.c = l.road.client(t, client)
	l.s = <-begun
	return l
}

func (l *late) talk(t *testing.T) {
	t.Helper()
	mustSend(t, l.c, "hello")
	mustReceive(t, l.c, "hello")
	if err := l.c.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// heldBack runs an attempt whose r3 is held back until a later one has resumed and messages
// were acknowledged, and then lets it go.
func (l *late) heldBack(t *testing.T) {
	t.Helper()
	l.arm()
	l.road.cut()
	for range 3 {
		l.talk(t)
	}
	time.Sleep(time.Second) // the client has acknowledged the server's messages too
	close(l.release)
	time.Sleep(time.Second)
	synctest.Wait()
}

// A53: an r3 that arrives after a later attempt has resumed changes nothing: neither by the
// old position in it, nor by credentials that have expired, nor by an identity that is not
// trusted any more by a Verifier who is asked about it late; with a store too.
func TestA53AttemptHeldBackChangesNothing(t *testing.T) {
	for _, storing := range []bool{false, true} {
		for name, change := range map[string]func(server *e2e.ServerConfig, client *e2e.Config, tooLate func() bool){
			"position": func(_ *e2e.ServerConfig, _ *e2e.Config, _ func() bool) {},
			"credentials": func(server *e2e.ServerConfig, client *e2e.Config, _ func() bool) {
				client.Credentials = func(context.Context) ([]byte, error) {
					return time.Now().Add(500 * time.Millisecond).MarshalBinary()
				}
				server.Authenticate = func(_ context.Context, _ e2e.Peer, token []byte) (e2e.Grant, error) {
					var until time.Time
					if until.UnmarshalBinary(token) != nil || time.Now().After(until) {
						return e2e.Grant{}, e2e.ErrCredentials
					}
					return e2e.Grant{}, nil
				}
			},
			"verifier": func(server *e2e.ServerConfig, _ *e2e.Config, tooLate func() bool) {
				server.Verifier = &asked{answer: func(context.Context) error {
					if tooLate() {
						return &trust.Error{Reason: trust.Revoked}
					}
					return nil
				}}
			},
		} {
			t.Run(fmt.Sprint(name, " stored ", storing), func(t *testing.T) {
				bubble(t, func(t *testing.T) {
					server, client := hosting(bob, alice), trusting(alice, bob)
					if storing {
						server = stored(server, sessionstore.Memory())
					}
					var l *late
					change(&server, &client, func() bool {
						if l == nil {
							return false
						}
						select {
						case <-l.release:
							return true
						default:
							return false
						}
					})
					l = newLate(t, server, client)
					l.talk(t)
					l.heldBack(t)
					l.talk(t)
					if links := l.road.links(); links != 3 {
						t.Errorf("%d connections, want 3", links)
					}
					l.c.Close()
					if err := <-l.ends; !errors.Is(err, io.EOF) {
						t.Errorf("the server's end: %v", err)
					}
				})
			})
		}
	}
}

// A53: nor does one that arrives before the later attempt, which the client has begun with
// other credentials. One that nobody follows ends the session.
func TestA53ExpiredCredentialsOfAnEarlierAttempt(t *testing.T) {
	for _, follows := range []bool{true, false} {
		t.Run(fmt.Sprint("another follows: ", follows), func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				var mu sync.Mutex
				token, expired := "first", ""
				server := granting(func(token string) (e2e.Grant, error) {
					mu.Lock()
					defer mu.Unlock()
					if token == expired {
						return e2e.Grant{}, e2e.ErrCredentials
					}
					return e2e.Grant{Claims: token}, nil
				})
				client := showing(func() string {
					mu.Lock()
					defer mu.Unlock()
					return token
				})
				l := newLate(t, server, client)
				l.talk(t)
				l.arm()
				l.road.cut()
				time.Sleep(100 * time.Millisecond) // r3 is with the hop
				l.road.set(func(r *road) { r.closed = true })
				time.Sleep(1500 * time.Millisecond) // the client has given the attempt up
				mu.Lock()
				token, expired = "second", "first"
				mu.Unlock()
				close(l.release)
				time.Sleep(2 * time.Second)
				l.road.set(func(r *road) { r.closed = !follows })
				if follows {
					l.talk(t)
					time.Sleep(time.Minute)
					l.talk(t)
					if got := l.s.Peer().Claims; got != "second" {
						t.Errorf("claims %v", got)
					}
					return
				}
				time.Sleep(e2e.DefaultHandshakeTimeout)
				if _, err := l.s.Receive(t.Context()); !errors.Is(err, e2e.ErrCredentials) {
					t.Errorf("the session has not ended: %v", err)
				}
			})
		})
	}
}

// A session whose r4 could not be written waits for its client like any other: the
// line before is retired, the client may come back, and if it does not, the session ends
// in time.
func TestA53UnwrittenVerdictParksTheSession(t *testing.T) {
	for _, back := range []bool{true, false} {
		t.Run(fmt.Sprint("the client comes back: ", back), func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				breaks := make(chan struct{}, 1)
				leaves := make(chan struct{})
				server := hosting(bob, alice)
				server.ParkTimeout = time.Minute
				begun := make(chan *e2e.Session, 1)
				r := &road{srv: newServer(t, server, func(ctx context.Context, s *e2e.Session) error {
					begun <- s
					return echo(ctx, s)
				})}
				broke := func() { r.set(func(r *road) { r.closed = !back }) }
				r.atServer = func(c transport.Conn) transport.Conn { return &mute{Conn: c, breaks: breaks, broke: broke} }
				r.atClient = func(c transport.Conn) transport.Conn { return &leaving{Conn: c, leaves: leaves} }
				c, s := r.client(t, trusting(alice, bob)), <-begun
				mustSend(t, c, "hello")
				mustReceive(t, c, "hello")
				r.set(func(r *road) { r.atClient = nil })
				breaks <- struct{}{}
				close(leaves) // of which the server learns nothing
				began := time.Now()
				time.Sleep(5 * time.Second)
				if len(breaks) > 0 {
					t.Fatal("no r4 was lost")
				}
				if back {
					mustSend(t, c, "back")
					mustReceive(t, c, "back")
					c.Close()
					return
				}
				<-s.Done()
				if took := time.Since(began); took > server.ParkTimeout+5*time.Second {
					t.Errorf("the session ended after %v", took)
				}
			})
		})
	}
}

// A leaving connection of a client's breaks without a word to the other end.
type leaving struct {
	transport.Conn
	leaves chan struct{}
}

func (l *leaving) Read(_ context.Context, dst []byte) ([]byte, error) {
	type result struct {
		frame []byte
		err   error
	}
	read := make(chan result, 1)
	go func() {
		frame, err := l.Conn.Read(context.Background(), nil) // dst is somebody else's once this one has left
		read <- result{frame, err}
	}()
	select {
	case r := <-read:
		return append(dst, r.frame...), r.err
	case <-l.leaves:
		return dst, net.ErrClosed
	}
}

func (l *leaving) Close(transport.Code, string) error { return nil }

// A mute connection of a server's fails with its second frame, the r4 of a resume, if it is
// the one that takes the token.
type mute struct {
	transport.Conn
	breaks chan struct{}
	broke  func()
	writes int
	broken bool
}

func (m *mute) Write(ctx context.Context, frame []byte) error {
	if m.writes++; m.writes == 2 {
		select {
		case <-m.breaks:
			m.broken = true
			m.broke()
		default:
		}
	}
	if m.broken {
		m.Conn.Close(transport.CodePolicy, "")
		return net.ErrClosed
	}
	return m.Conn.Write(ctx, frame)
}

// A54: what the other end has told is not who it is before the Verifier has said so:
// requests right behind an update are served as the peer that was accepted, and stay so
// where the Verifier cannot tell. Where it refuses the session ends.
func TestA54PeerIsWhoWasAccepted(t *testing.T) {
	for name, verdict := range map[string]error{"accepted": nil, "undecided": errors.New("cannot tell"), "refused": errNo} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				decide := make(chan struct{})
				gate := &gated{free: 1, open: decide, verdict: verdict}
				served := make(chan uint64, 9)
				authorized := make(chan uint64, 9)
				router := mux.New()
				router.Authorize = func(_ context.Context, peer e2e.Peer, _ e2e.Message) error {
					authorized <- peer.Serial()
					return nil
				}
				router.Handle("who", func(_ context.Context, r *e2e.Request) ([]byte, error) {
					served <- r.Session.Peer().Serial()
					return nil, nil
				})
				carol := newIdentity("carol")
				server := e2e.ServerConfig{Identity: bob, Verifier: gate, Protocol: "test/1", Options: e2e.Options{Logger: silent}}
				srv := newServer(t, server, router.Serve)
				r := &road{srv: srv}
				c := r.client(t, e2e.Config{Identity: carol, Verifier: trust.Pinned(bob.Fingerprint()), Protocol: "test/1", Options: e2e.Options{Logger: silent}})
				before := carol.Public().Serial()
				who := func() (by, as uint64, err error) {
					if _, err = c.Call(t.Context(), "who", nil); err != nil {
						return 0, 0, err
					}
					return <-authorized, <-served, nil
				}
				if by, as, err := who(); by != before || as != before || err != nil {
					t.Fatal(by, as, err)
				}
				if err := carol.Renew(); err != nil {
					t.Fatal(err)
				}
				renewed := make(chan error, 1)
				go func() { renewed <- c.Renew(t.Context()) }()
				time.Sleep(time.Second)
				if by, as, err := who(); by != before || as != before || err != nil {
					t.Errorf("behind the update, before the Verifier: authorized as %d, served as %d, %v; want %d", by, as, err, before)
				}
				close(decide)
				err := <-renewed
				want := before
				switch {
				case verdict == nil:
					want = carol.Public().Serial()
				case name == "undecided" && !errors.Is(err, e2e.ErrUndecided):
					t.Errorf("Renew: %v", err)
				case name == "refused":
					if _, err := c.Receive(t.Context()); !errors.As(err, new(*e2e.CloseError)) {
						t.Errorf("refused, and the session goes on: %v", err)
					}
					return
				}
				if by, as, err := who(); by != want || as != want || err != nil {
					t.Errorf("behind the decision: authorized as %d, served as %d, %v; want %d", by, as, err, want)
				}
				c.Close()
			})
		})
	}
}

// A gated Verifier accepts the first few, and decides on others when it is let.
type gated struct {
	mu      sync.Mutex
	free    int
	open    chan struct{}
	verdict error
}

func (g *gated) Verify(ctx context.Context, _ trust.Expected, _ *keys.PublicIdentity) error {
	g.mu.Lock()
	g.free--
	free := g.free >= 0
	g.mu.Unlock()
	if free {
		return nil
	}
	select {
	case <-g.open:
		return g.verdict
	case <-ctx.Done():
		return ctx.Err()
	}
}

// A54: claims and identity change in one step.
func TestA54IdentityAndClaimsChangeTogether(t *testing.T) {
	bubble(t, func(t *testing.T) {
		carol := newIdentity("carol")
		server := e2e.ServerConfig{Identity: bob, Verifier: &bouncer{}, Protocol: "test/1"}
		server.Authenticate = func(_ context.Context, peer e2e.Peer, _ []byte) (e2e.Grant, error) {
			return e2e.Grant{Claims: peer.Serial()}, nil
		}
		begun := make(chan *e2e.Session, 1)
		r := &road{srv: newServer(t, server, func(ctx context.Context, s *e2e.Session) error {
			begun <- s
			return echo(ctx, s)
		})}
		client := e2e.Config{Identity: carol, Verifier: trust.Pinned(bob.Fingerprint()), Protocol: "test/1", Options: e2e.Options{Logger: silent}}
		client.Credentials = func(context.Context) ([]byte, error) { return nil, nil }
		c := r.client(t, client)
		s := <-begun
		stop, stopped := make(chan struct{}), make(chan struct{})
		go func() {
			defer close(stopped)
			for {
				select {
				case <-stop:
					return
				case <-time.After(time.Millisecond):
				}
				if p := s.Peer(); p.Claims != p.Serial() {
					t.Errorf("serial %d with the claims of %v", p.Serial(), p.Claims)
					return
				}
			}
		}()
		for i := range 6 {
			if err := carol.Renew(); err != nil {
				t.Fatal(err)
			}
			if i%2 == 0 {
				r.cut()
			}
			if err := c.Renew(t.Context()); err != nil {
				t.Fatal(err)
			}
			mustSend(t, c, "x")
			mustReceive(t, c, "x")
		}
		close(stop)
		<-stopped
		c.Close()
	})
}
