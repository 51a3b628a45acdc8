package peer_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/hopseal/hopseal/e2e"
	"github.com/hopseal/hopseal/e2e/peer"
	"github.com/hopseal/hopseal/e2e/sessionstore"
	"github.com/hopseal/hopseal/keys"
	"github.com/hopseal/hopseal/keys/trust"
)

// dialled is what a Dial returns.
type dialled struct {
	*e2e.Session
	error
}

func dial(ctx context.Context, m *member, name string) <-chan dialled {
	result := make(chan dialled, 1)
	go func() {
		s, err := m.Dial(ctx, name)
		result <- dialled{s, err}
	}()
	return result
}

func mustAccept(t testing.TB, m *member) *e2e.Session {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	s, err := m.Accept(ctx)
	if err != nil {
		t.Fatalf("Accept: %v", err)
	}
	return s
}

// talk checks that two ends are those of one session.
func talk(t testing.TB, a, b *e2e.Session) {
	t.Helper()
	word := fmt.Sprint(rand.Uint64())
	mustSend(t, a, word)
	mustReceive(t, b, word)
	mustSend(t, b, "and "+word)
	mustReceive(t, a, "and "+word)
}

func TestMembersHaveASession(t *testing.T) {
	for name, pair := range map[string][2]*keys.Identity{"lower dials": {low, high}, "higher dials": {high, low}} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				h := newHub()
				one, other := enter(t, h, pair[0], pair[1]), enter(t, h, pair[1], pair[0])
				a, err := one.Dial(t.Context(), pair[1].Name())
				if err != nil {
					t.Fatal(err)
				}
				b := mustAccept(t, other)
				talk(t, a, b)
				if a.Peer().Fingerprint() != pair[1].Fingerprint() || a.Info().Transport.Kind != "relay" {
					t.Errorf("%v over %+v", a.Peer().Name(), a.Info().Transport)
				}
				for _, again := range []<-chan dialled{dial(t.Context(), one, pair[1].Name()), dial(t.Context(), other, pair[0].Name())} {
					if d := <-again; d.error != nil || d.Session != a && d.Session != b {
						t.Errorf("another Dial: %v, not the same session", d.error)
					}
				}
			})
		})
	}
}

func TestNobodyThere(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHub()
		a := enter(t, h, low, high)
		if _, err := a.Dial(t.Context(), high.Name()); !errors.Is(err, peer.ErrAbsent) {
			t.Errorf("%v, want %v", err, peer.ErrAbsent)
		}
		if _, err := a.Dial(t.Context(), low.Name()); !errors.Is(err, peer.ErrAbsent) {
			t.Errorf("oneself: %v", err)
		}
	})
}

// Whatever the network does to their timing, two members that dial each other get one
// session, the same one, made by the one with the lower fingerprint where the dials cross.
func TestBothDial(t *testing.T) {
	bubble(t, func(t *testing.T) {
		for seed := range uint64(20) {
			rng := rand.New(rand.NewPCG(seed, 1))
			wait := time.Duration(rng.IntN(12)) * time.Millisecond
			h := newHub()
			var mu sync.Mutex // guards rng
			h.delay = func() time.Duration {
				mu.Lock()
				defer mu.Unlock()
				return time.Duration(rng.IntN(3)) * time.Millisecond
			}
			a, b := enter(t, h, low, high), enter(t, h, high, low)
			first, second := a, b
			if seed%2 == 1 {
				first, second = b, a
			}
			to := map[*member]string{a: high.Name(), b: low.Name()}
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			one := dial(ctx, first, to[first])
			time.Sleep(wait)
			other := dial(ctx, second, to[second])
			x, y := <-one, <-other
			if x.error != nil || y.error != nil {
				t.Fatalf("seed %d: %v, %v", seed, x.error, y.error)
			}
			talk(t, x.Session, y.Session)
			short, done := context.WithTimeout(ctx, time.Minute/2)
			for _, m := range []*member{a, b} {
				if s, err := m.Accept(short); err == nil {
					t.Errorf("seed %d: a second session with %s", seed, s.Peer().Name())
				}
			}
			done()
			cancel()
			a.Close()
			b.Close()
			a.cut()
			b.cut()
		}
	})
}

// A relay cannot make both fail for ever by sending one of the dials nowhere.
func TestA33ADialThatLeadsNowhereDoesNotKeepTheOtherOut(t *testing.T) {
	for name, nowhere := range map[string]*keys.Identity{"the lower one's": low, "the higher one's": high} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				h := newHub()
				var held [16]byte // the id of the link that is
				h.change = func(from, to string, payload []byte) [][]byte {
					if from == nowhere.Name() && payload[0] == 1 && held == [16]byte{} {
						copy(held[:], payload[1:])
					}
					if [16]byte(payload[1:]) == held {
						return nil
					}
					return [][]byte{payload}
				}
				a, b := enter(t, h, low, high), enter(t, h, high, low)
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				one, other := dial(ctx, a, high.Name()), dial(ctx, b, low.Name())
				x, y := <-one, <-other
				if x.error != nil || y.error != nil {
					t.Fatalf("%v, %v", x.error, y.error)
				}
				talk(t, x.Session, y.Session)
			})
		})
	}
}

// Sessions go on when a member, or the relay itself, has lost its connections.
func TestSessionsOutliveTheRelay(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHub()
		a, b := enter(t, h, low, high), enter(t, h, high, low)
		x, err := a.Dial(t.Context(), high.Name())
		if err != nil {
			t.Fatal(err)
		}
		y := mustAccept(t, b)
		talk(t, x, y)
		for _, lost := range [][]*member{{a}, {b}, {a, b}, {b, a}} {
			for _, m := range lost {
				m.cut()
			}
			mustSend(t, x, "sent without a relay") // the session keeps it
			for _, m := range lost {
				time.Sleep(time.Second)
				m.join()
			}
			mustReceive(t, y, "sent without a relay")
			talk(t, x, y)
		}
	})
}

// The confirm of a session may be lost with the connection: coming back says as much.
func TestAConfirmThatIsLost(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHub()
		a := enter(t, h, low, high)
		var b *member
		h.change = func(_, _ string, payload []byte) [][]byte {
			if payload[0] == 4 {
				h.change = nil
				go func() { a.cut(); a.join() }()
				return nil
			}
			return [][]byte{payload}
		}
		b = enter(t, h, high, low)
		x, err := a.Dial(t.Context(), high.Name())
		if err != nil {
			t.Fatal(err)
		}
		talk(t, x, mustAccept(t, b))
	})
}

// A member that has lost its memory gets a new session, in the place of the old one.
func TestAMemberThatStartsAgain(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHub()
		a, b := enter(t, h, low, high), enter(t, h, high, low)
		x, err := a.Dial(t.Context(), high.Name())
		if err != nil {
			t.Fatal(err)
		}
		y := mustAccept(t, b)
		talk(t, x, y)
		a.cut()
		again := enter(t, h, low, high)
		x2, err := again.Dial(t.Context(), high.Name())
		if err != nil {
			t.Fatal(err)
		}
		y2 := mustAccept(t, b)
		talk(t, x2, y2)
		<-y.Done()
		if d := <-dial(t.Context(), b, low.Name()); d.Session != y2 {
			t.Errorf("%v, or an old session", d.error)
		}
	})
}

// Nobody gets a session under a name that is not theirs, in either direction.
func TestA06NamesAreHeldAgainstIdentities(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHub()
		known := new(trust.KnownPeers)
		cfg := trusting(low)
		cfg.Session.Verifier, cfg.Members = known, nil
		cfg.Address = func(name string) string { return "at " + name }
		for _, id := range []*keys.Identity{high, mallory} {
			if err := known.Admit(trust.Expected{Address: "at " + id.Name(), Role: trust.RoleMember}, id.Public()); err != nil {
				t.Fatal(err)
			}
		}
		a := enterAs(t, h, low.Name(), cfg)
		liar := enterAs(t, h, high.Name(), trusting(mallory, low))
		var failed *e2e.HandshakeError
		if _, err := a.Dial(t.Context(), high.Name()); !errors.As(err, &failed) || failed.Reason != e2e.ReasonUntrusted {
			t.Errorf("dialling the liar: %v", err)
		}
		if _, err := liar.Dial(t.Context(), low.Name()); !errors.As(err, &failed) || failed.Reason != e2e.ReasonRefused {
			t.Errorf("dialled by the liar: %v", err)
		}
		honest := enterAs(t, h, "mallory", trusting(mallory, low))
		x, err := honest.Dial(t.Context(), low.Name())
		if err != nil {
			t.Fatal(err)
		}
		talk(t, x, mustAccept(t, a))
	})
}

// Whatever a relay calls a member that comes back, it cannot have the session refused.
func TestA06AMemberThatComesBackUnderAnotherName(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHub()
		known := new(trust.KnownPeers)
		cfg := trusting(high)
		cfg.Session.Verifier, cfg.Members = known, nil
		cfg.Address = func(name string) string { return "at " + name }
		if err := known.Admit(trust.Expected{Address: "at " + low.Name(), Role: trust.RoleMember}, low.Public()); err != nil {
			t.Fatal(err)
		}
		a, b := enter(t, h, low, high), enterAs(t, h, high.Name(), cfg)
		x, err := a.Dial(t.Context(), high.Name())
		if err != nil {
			t.Fatal(err)
		}
		y := mustAccept(t, b)
		talk(t, x, y)
		a.cut()
		a.name = "somebody else"
		a.join()
		talk(t, x, y)
		if err := y.Recheck(t.Context()); err != nil {
			t.Errorf("Recheck: %v", err)
		}
	})
}

// An identity, and credentials, are renewed within a session, in both directions.
func TestA50MembersRenewThemselves(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHub()
		shown := "first"
		one, other := trusting(low, high), trusting(high, low)
		one.Session.Credentials = func(context.Context) ([]byte, error) { return []byte(shown), nil }
		other.Authenticate = func(_ context.Context, _ e2e.Peer, credentials []byte) (e2e.Grant, error) {
			return e2e.Grant{Claims: string(credentials), Expires: time.Now().Add(time.Hour)}, nil
		}
		a, b := enterAs(t, h, low.Name(), one), enterAs(t, h, high.Name(), other)
		x, err := a.Dial(t.Context(), high.Name())
		if err != nil {
			t.Fatal(err)
		}
		y := mustAccept(t, b)
		talk(t, x, y)
		shown = "second"
		if err := x.Renew(t.Context()); err != nil {
			t.Errorf("Renew: %v", err)
		}
		if got := y.Peer().Claims; got != "second" {
			t.Errorf("claims %v", got)
		}
		if err := y.Renew(t.Context()); err != nil {
			t.Errorf("Renew at the other end: %v", err)
		}
		time.Sleep(3 * time.Hour)
		talk(t, x, y)
	})
}

// A member that begins one session after another, and confirms none, takes one place.
func TestA33AMemberThatConfirmsNothing(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHub()
		cfg := trusting(low, high, mallory)
		cfg.MaxSessions = 3
		a, b := enterAs(t, h, low.Name(), cfg), enter(t, h, high, low)
		h.change = func(from, _ string, payload []byte) [][]byte {
			if from == mallory.Name() && payload[0] >= 3 { // neither a close nor a confirm
				return nil
			}
			return [][]byte{payload}
		}
		for range 5 {
			m := enter(t, h, mallory, low)
			if _, err := m.Dial(t.Context(), low.Name()); err != nil {
				t.Fatalf("the hostile member: %v", err)
			}
			t.Cleanup(func() { m.Close() })
			time.Sleep(3 * time.Second)
		}
		x, err := b.Dial(t.Context(), low.Name())
		if err != nil {
			t.Fatal(err)
		}
		talk(t, x, mustAccept(t, a))
	})
}

func TestNodesStoreNothing(t *testing.T) {
	cfg := trusting(low, high)
	cfg.Session.Store = sessionstore.Memory()
	if _, err := peer.New(topic, cfg); !errors.Is(err, peer.ErrStore) {
		t.Errorf("%v, want %v", err, peer.ErrStore)
	}
}
