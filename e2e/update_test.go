package e2e_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hopseal/hopseal/e2e"
	"github.com/hopseal/hopseal/keys"
	"github.com/hopseal/hopseal/keys/trust"
	"github.com/hopseal/hopseal/transport"
)

// A bouncer is a Verifier whose mind changes.
type bouncer struct {
	mu    sync.Mutex
	err   error
	asked []uint64 // serials
}

func (b *bouncer) Verify(_ context.Context, _ trust.Expected, got *keys.PublicIdentity) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.asked = append(b.asked, got.Serial())
	return b.err
}

func (b *bouncer) say(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.err = err
}

func (b *bouncer) last() uint64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.asked[len(b.asked)-1]
}

var errNo = &trust.Error{Reason: trust.Revoked}

// A meeting is a session of two ends whose identities change, over a road.
type meeting struct {
	carol, dave *keys.Identity
	atC, atD    bouncer // of the client, of the server
	road        *road
	c, s        *e2e.Session
	ended       chan error // of the server's function
	client      e2e.Config
	serv        e2e.ServerConfig
	srv         *e2e.Server
}

func meet(t *testing.T, change func(*meeting)) *meeting {
	t.Helper()
	m := &meeting{carol: newIdentity("carol"), dave: newIdentity("dave"), ended: make(chan error, 1)}
	m.client = e2e.Config{Identity: m.carol, Verifier: &m.atC, Protocol: "test/1", Options: e2e.Options{Logger: silent}}
	m.serv = e2e.ServerConfig{Identity: m.dave, Verifier: &m.atD, Protocol: "test/1", Options: e2e.Options{Logger: silent}}
	if change != nil {
		change(m)
	}
	sessions := make(chan *e2e.Session, 1)
	m.srv = newServer(t, m.serv, func(ctx context.Context, s *e2e.Session) error {
		sessions <- s
		err := echo(ctx, s)
		m.ended <- err
		return err
	})
	m.road = &road{srv: m.srv}
	m.c = m.road.client(t, m.client)
	m.s = <-sessions
	return m
}

func (m *meeting) talk(t *testing.T) {
	t.Helper()
	mustSend(t, m.c, "still here")
	mustReceive(t, m.c, "still here")
}

// wantOver checks how both ends were told of the end of a session.
func (m *meeting) wantOver(t *testing.T, by *e2e.Session, sentinel error, code e2e.Code) {
	t.Helper()
	_, cErr := m.c.Receive(t.Context())
	here, there := cErr, <-m.ended
	if by == m.s {
		here, there = there, here
	}
	if !errors.Is(here, sentinel) {
		t.Errorf("where it ended: %v, want %v", here, sentinel)
	}
	var closed *e2e.CloseError
	if !errors.As(there, &closed) || closed.Code != code || !closed.Remote || closed.Err != nil {
		t.Errorf("at the other end: %v, want code %v", there, code)
	}
}

// A rotated identity reaches the other end of an open session, in both directions, and
// its Verifier is asked about it, while the session goes on over the same connection.
func TestIdentityIsUpdatedInBand(t *testing.T) {
	bubble(t, func(t *testing.T) {
		m := meet(t, nil)
		for range 3 {
			for _, id := range []*keys.Identity{m.carol, m.dave} {
				if err := id.Renew(); err != nil {
					t.Fatal(err)
				}
			}
			m.talk(t)
			time.Sleep(2 * time.Second)
			if m.s.Peer().Serial() != m.carol.Public().Serial() || m.c.Peer().Serial() != m.dave.Public().Serial() {
				t.Errorf("the ends know serials %d and %d", m.s.Peer().Serial(), m.c.Peer().Serial())
			}
			if m.atD.last() != m.carol.Public().Serial() || m.atC.last() != m.dave.Public().Serial() {
				t.Error("a Verifier was not asked")
			}
			m.talk(t)
		}
		// Without any traffic it is noticed when the link is kept alive.
		if err := m.carol.Renew(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		if m.s.Peer().Serial() != m.carol.Public().Serial() {
			t.Error("the idle session was not told")
		}
		if m.road.links() != 1 {
			t.Errorf("%d links", m.road.links())
		}
	})
}

// A06, A50: the Verifier that does not accept the new identity ends the session, at
// either end.
func TestA50UpdatedIdentityMayBeRefused(t *testing.T) {
	for _, end := range []string{"client", "server"} {
		t.Run(end, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				m := meet(t, nil)
				by, other, verifier := m.c, m.dave, &m.atC
				if end == "server" {
					by, other, verifier = m.s, m.carol, &m.atD
				}
				verifier.say(errNo)
				if err := other.Renew(); err != nil {
					t.Fatal(err)
				}
				mustSend(t, m.c, "something")
				got, err := m.c.Receive(t.Context()) // the refusal may be faster than the answer
				if end := new(e2e.CloseError); string(got) != "something" && !errors.As(err, &end) {
					t.Errorf("Receive: %q, %v", got, err)
				}
				m.wantOver(t, by, e2e.ErrUntrusted, e2e.CodeRefused)
			})
		})
	}
}

// Where the Verifier has no answer the session goes on, and it is asked again.
func TestUpdateThatCannotBeDecided(t *testing.T) {
	bubble(t, func(t *testing.T) {
		m := meet(t, nil)
		m.atD.say(errors.New("the database is down"))
		if err := m.c.Renew(t.Context()); !errors.Is(err, e2e.ErrUndecided) {
			t.Errorf("Renew: %v", err)
		}
		m.talk(t)
		if err := m.carol.Renew(); err != nil {
			t.Fatal(err)
		}
		m.talk(t)
		time.Sleep(30 * time.Second)
		m.atD.say(errNo)
		time.Sleep(2 * time.Minute)
		m.wantOver(t, m.s, e2e.ErrUntrusted, e2e.CodeRefused)
	})
}

// Credentials are shown again ahead of their expiry, for as long as the session lives,
// and what is found in them is known at once.
func TestCredentialsAreRenewedInBand(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var shown atomic.Int32
		m := meet(t, func(m *meeting) {
			m.client.Credentials = func(context.Context) ([]byte, error) { return fmt.Append(nil, shown.Add(1)), nil }
			m.serv.Authenticate = func(_ context.Context, _ e2e.Peer, credentials []byte) (e2e.Grant, error) {
				return e2e.Grant{Claims: string(credentials), Expires: time.Now().Add(time.Hour)}, nil
			}
		})
		time.Sleep(10 * time.Hour)
		m.talk(t)
		if n := shown.Load(); n < 10 || n > 12 || m.s.Peer().Claims != fmt.Sprint(n) || m.road.links() != 1 {
			t.Errorf("shown %d times, over %d links; claims %v", n, m.road.links(), m.s.Peer().Claims)
		}
		before := shown.Load()
		if err := m.c.Renew(t.Context()); err != nil || shown.Load() != before+1 || m.s.Peer().Claims != fmt.Sprint(before+1) {
			t.Errorf("Renew: %v, shown %d times", err, shown.Load()-before)
		}
	})
}

// A33: a peer that shows something new as fast as it can is decided on once in a second.
func TestA33DecisionsArePaced(t *testing.T) {
	bubble(t, func(t *testing.T) {
		m := meet(t, nil)
		began := time.Now()
		for range 10 {
			if err := m.c.Renew(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if took := time.Since(began); took < 9*time.Second || took > 11*time.Second {
			t.Errorf("10 decisions in %v", took)
		}
	})
}

// A50: credentials that are refused when they are shown again end the session at both
// ends at once; those that cannot be had, or be decided on, when the last good ones
// expire.
func TestA50RenewalMayBeRefused(t *testing.T) {
	down := errors.New("down")
	for name, test := range map[string]struct {
		present, decide error
		ends            time.Duration
		code            e2e.Code
	}{
		"refused":                {decide: transport.ErrUnauthorized, ends: 55 * time.Minute, code: e2e.CodeRefused},
		"nothing to show":        {present: down, ends: time.Hour},
		"nothing can be decided": {decide: down, ends: time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				var changed atomic.Bool
				began := time.Now()
				m := meet(t, func(m *meeting) {
					m.client.Credentials = func(context.Context) ([]byte, error) {
						if changed.Load() {
							return nil, test.present
						}
						return nil, nil
					}
					m.serv.Authenticate = func(context.Context, e2e.Peer, []byte) (e2e.Grant, error) {
						if changed.Load() {
							return e2e.Grant{}, test.decide
						}
						return e2e.Grant{Expires: began.Add(time.Hour)}, nil
					}
				})
				changed.Store(true)
				if test.code != 0 {
					m.wantOver(t, m.s, e2e.ErrCredentials, test.code)
				} else {
					_, err := m.c.Receive(t.Context())
					if there := <-m.ended; !errors.Is(err, e2e.ErrCredentials) || !errors.Is(there, e2e.ErrCredentials) {
						t.Errorf("ended with %v and %v", err, there)
					}
				}
				if lived := time.Since(began).Round(time.Minute); lived != test.ends {
					t.Errorf("lived for %v, want %v", lived, test.ends)
				}
			})
		})
	}
}

// A decision on an update that hangs, or panics, does not hold the session up.
func TestUpdateCallbacksThatHangOrPanic(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var calls atomic.Int32
		forever := make(chan struct{})
		defer close(forever)
		m := meet(t, func(m *meeting) {
			m.serv.Authenticate = func(context.Context, e2e.Peer, []byte) (e2e.Grant, error) {
				switch calls.Add(1) {
				case 2:
					panic("no database")
				case 3:
					<-forever
				}
				return e2e.Grant{Claims: calls.Load()}, nil
			}
		})
		for range 2 {
			if err := m.c.Renew(t.Context()); !errors.Is(err, e2e.ErrUndecided) {
				t.Errorf("Renew: %v", err)
			}
			m.talk(t)
		}
		if err := m.c.Renew(t.Context()); err != nil || m.s.Peer().Claims != int32(4) {
			t.Errorf("Renew: %v, claims %v", err, m.s.Peer().Claims)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := m.c.Renew(ctx); !errors.Is(err, context.Canceled) {
			t.Errorf("Renew with an ended context: %v", err)
		}
	})
}

// An update that is lost with its connection is made up for by the next one.
func TestUpdateSurvivesCuts(t *testing.T) {
	bubble(t, func(t *testing.T) {
		m := meet(t, nil)
		for range 20 {
			if err := m.carol.Renew(); err != nil {
				t.Fatal(err)
			}
			done := make(chan error, 1)
			go func() { done <- m.c.Renew(t.Context()) }()
			m.road.cut()
			if err := <-done; err != nil {
				t.Fatal(err)
			}
			m.talk(t)
			if m.s.Peer().Serial() != m.carol.Public().Serial() {
				t.Error("the server was not told")
			}
		}
	})
}

// What an application learns about a peer ends its open sessions, and those that wait.
func TestA50RecheckEndsSessions(t *testing.T) {
	for _, parked := range []bool{false, true} {
		t.Run(fmt.Sprint(parked), func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				m := meet(t, nil)
				if err := errors.Join(m.c.Recheck(t.Context()), m.s.Recheck(t.Context()), m.srv.Recheck(t.Context())); err != nil {
					t.Fatal(err)
				}
				m.talk(t)
				down := errors.New("the database is down")
				m.atD.say(down)
				if err := m.srv.Recheck(t.Context()); !errors.Is(err, down) {
					t.Errorf("Recheck without an answer: %v", err)
				}
				m.talk(t)
				if parked {
					m.road.set(func(r *road) { r.closed = true })
					m.road.cut()
					synctest.Wait()
				}
				m.atD.say(errNo)
				if err := m.srv.Recheck(t.Context()); err != nil {
					t.Errorf("Recheck: %v", err)
				}
				if !parked {
					m.wantOver(t, m.s, e2e.ErrUntrusted, e2e.CodeRefused)
					return
				}
				if err := <-m.ended; !errors.Is(err, e2e.ErrUntrusted) {
					t.Errorf("the server's end: %v", err)
				}
				m.road.set(func(r *road) { r.closed = false })
				if _, err := m.c.Receive(t.Context()); !errors.Is(err, e2e.ErrTruncated) {
					t.Errorf("the client's end: %v", err)
				}
			})
		})
	}
	bubble(t, func(t *testing.T) {
		m := meet(t, nil)
		m.atC.say(errNo)
		var closed *e2e.CloseError
		if err := m.c.Recheck(t.Context()); !errors.As(err, &closed) || !errors.Is(err, e2e.ErrUntrusted) {
			t.Errorf("Recheck: %v", err)
		}
		m.wantOver(t, m.c, e2e.ErrUntrusted, e2e.CodeRefused)
	})
}

// A17: what a handshake signs with is the key that goes with the identity it shows, though
// that is rotated again and again meanwhile.
func TestHandshakesDuringRotations(t *testing.T) {
	carol := newIdentity("carol")
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for {
			select {
			case <-stop:
				return
			default:
				carol.Renew()
				runtime.Gosched() // in wasm nobody else does
			}
		}
	}()
	for range 20 {
		if cErr, sErr := both(t, trusting(carol, bob), hosting(bob, carol)); cErr != nil || sErr != nil {
			t.Fatal(cErr, sErr)
		}
	}
	close(stop)
	<-stopped
}

// A slowBouncer answers the first question since it was armed only when it is let go, and then
// with no. It accepts everybody else.
type slowBouncer struct {
	armed         atomic.Bool
	asked, answer chan struct{}
}

func (b *slowBouncer) Verify(context.Context, trust.Expected, *keys.PublicIdentity) error {
	if !b.armed.CompareAndSwap(true, false) {
		return nil
	}
	close(b.asked)
	<-b.answer
	return errNo
}

// A54: what a Verifier says about who the other end was, before another statement of it was
// accepted, ends no session.
func TestA54RecheckIsAboutWhoTheOtherEndIs(t *testing.T) {
	bubble(t, func(t *testing.T) {
		slow := &slowBouncer{asked: make(chan struct{}), answer: make(chan struct{})}
		m := meet(t, func(m *meeting) { m.serv.Verifier = slow })
		slow.armed.Store(true)
		rechecked := make(chan error, 1)
		go func() { rechecked <- m.srv.Recheck(t.Context()) }()
		<-slow.asked
		if err := m.carol.Renew(); err != nil {
			t.Fatal(err)
		}
		if err := m.c.Renew(t.Context()); err != nil {
			t.Fatal(err)
		}
		close(slow.answer)
		if err := <-rechecked; err != nil {
			t.Errorf("Recheck: %v", err)
		}
		m.talk(t)
	})
}
