package e2e_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hopseal/hopseal/e2e"
	"github.com/hopseal/hopseal/e2e/sessionstore"
	"github.com/hopseal/hopseal/keys"
	"github.com/hopseal/hopseal/keys/insecurecleartext"
	"github.com/hopseal/hopseal/keys/trust"
	"github.com/hopseal/hopseal/transport"
)

// promised is within what a session ends after its Verifier has told of a change.
const promised = 2 * time.Second

var (
	asClient = trust.Expected{Role: trust.RoleClient}
	asServer = trust.Expected{Role: trust.RoleServer, Address: "road"}
)

// knowing returns known peers that admit identities.
func knowing(t testing.TB, at trust.Expected, ids ...*keys.Identity) *trust.KnownPeers {
	t.Helper()
	known := new(trust.KnownPeers)
	for _, id := range ids {
		if err := known.Admit(at, id.Public()); err != nil {
			t.Fatal(err)
		}
	}
	return known
}

func revocationOf(t testing.TB, id *keys.Identity) *keys.PublicIdentity {
	t.Helper()
	r, err := id.Revocation()
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// wantReason checks why a session ended, and that it did in time.
func wantReason(t *testing.T, s *e2e.Session, since time.Time, want trust.Reason) {
	t.Helper()
	select {
	case <-s.Done():
	case <-time.After(time.Minute):
		t.Error("the session goes on")
		return
	}
	if took := time.Since(since); took > promised {
		t.Errorf("it ended after %v", took)
	}
	err := s.Send(t.Context(), []byte("x"))
	var refusal *trust.Error
	if !errors.Is(err, e2e.ErrUntrusted) || !errors.As(err, &refusal) || refusal.Reason != want {
		t.Errorf("it ended with %v, want one who is %v", err, want)
	}
}

// Whatever the Verifier learns, the sessions of whom it does not trust any more end within
// two seconds, at whichever end and whether they have a connection or not; and no others do.
func TestA50SessionsFollowTheirVerifier(t *testing.T) {
	type world struct {
		known     *trust.KnownPeers
		authority *trust.Authority
		carol     *keys.Identity
		boss      *keys.Identity
		at        trust.Expected
	}
	changes := map[string]struct {
		verifier func(w *world) trust.Verifier
		change   func(t *testing.T, w *world) error
		reason   trust.Reason
	}{
		"revoked": {nil, func(t *testing.T, w *world) error { return w.known.Revoke(revocationOf(t, w.carol)) }, trust.Revoked},
		"seen to be revoked": {nil, func(t *testing.T, w *world) error {
			w.known.Verify(t.Context(), w.at, revocationOf(t, w.carol))
			return nil
		}, trust.Revoked},
		"forgotten": {nil, func(t *testing.T, w *world) error { return w.known.Forget(w.at, w.carol.Fingerprint()) }, trust.Unknown},
		"succeeded": {nil, func(t *testing.T, w *world) error {
			s, err := trust.Succeed(w.carol, newIdentity("carol's heir"))
			return errors.Join(err, w.known.Succeed(s))
		}, trust.Revoked},
		"revoked, known by first use": {func(w *world) trust.Verifier { return w.known.TrustOnFirstUse() },
			func(t *testing.T, w *world) error { return w.known.Revoke(revocationOf(t, w.carol)) }, trust.Revoked},
		"revoked, though anybody is trusted": {func(w *world) trust.Verifier { return w.known.RefuseRevoked(trust.InsecureAnyone()) },
			func(t *testing.T, w *world) error { return w.known.Revoke(revocationOf(t, w.carol)) }, trust.Revoked},
		"revoked, though vouched for": {func(w *world) trust.Verifier { return w.authority },
			func(t *testing.T, w *world) error { return w.authority.Revoke(revocationOf(t, w.carol)) }, trust.Revoked},
		"the authority is revoked": {func(w *world) trust.Verifier { return w.known.RefuseRevoked(w.authority) },
			func(t *testing.T, w *world) error { return w.authority.Update(revocationOf(t, w.boss)) }, trust.Revoked},
	}
	for name, c := range changes {
		for _, end := range []string{"server", "parked", "accept", "client", "connect"} {
			t.Run(name+", "+end, func(t *testing.T) {
				bubble(t, func(t *testing.T) {
					w := &world{carol: newIdentity("carol"), boss: newIdentity("boss"), at: asClient}
					w.authority = trust.NewAuthority(w.boss.Public())
					if end == "client" || end == "connect" {
						w.at = asServer
					}
					w.known = knowing(t, w.at, w.carol)
					voucher, err := trust.Vouch(w.boss, w.at, w.carol.Fingerprint(), time.Now().Add(time.Hour))
					if err == nil {
						err = w.authority.Add(voucher)
					}
					if err != nil {
						t.Fatal(err)
					}
					verifier := trust.Verifier(w.known)
					if c.verifier != nil {
						verifier = c.verifier(w)
					}
					s := followedBy(t, verifier, w.carol, end)
					if err := w.known.Admit(trust.Expected{Room: "another"}, mallory.Public()); err != nil { // which changes nothing for carol
						t.Fatal(err)
					}
					time.Sleep(10 * time.Second)
					if isOver(s) {
						t.Fatal("the session is over before")
					}
					began := time.Now()
					if err := c.change(t, w); err != nil {
						t.Fatal(err)
					}
					wantReason(t, s, began, c.reason)
				})
			})
		}
	}
}

func isOver(s *e2e.Session) bool {
	select {
	case <-s.Done():
		return true
	default:
		return false
	}
}

// followedBy returns a session at one end of which a Verifier decides about the other, who is
// peer.
func followedBy(t *testing.T, verifier trust.Verifier, peer *keys.Identity, end string) *e2e.Session {
	t.Helper()
	here := e2e.ServerConfig{Identity: bob, Verifier: verifier, Protocol: "test/1", Options: e2e.Options{Logger: silent}}
	hereAsClient := e2e.Config{Identity: here.Identity, Verifier: verifier, Protocol: here.Protocol, Options: here.Options}
	a, b := transport.Pipe()
	type made struct {
		s   *e2e.Session
		err error
	}
	var other made
	switch end {
	case "server", "parked":
		sessions := make(chan *e2e.Session, 1)
		r := &road{srv: newServer(t, here, func(ctx context.Context, s *e2e.Session) error {
			sessions <- s
			return echo(ctx, s)
		})}
		c := r.client(t, trusting(peer, bob))
		t.Cleanup(func() { c.Close() })
		s := <-sessions
		if end == "parked" {
			r.set(func(r *road) { r.closed = true })
			r.cut()
			synctest.Wait()
		}
		return s
	case "client":
		r := &road{srv: newServer(t, hosting(peer, bob), echo)}
		s := r.client(t, hereAsClient)
		t.Cleanup(func() { s.Close() })
		return s
	case "accept":
		done := make(chan made)
		go func() {
			s, err := e2e.Connect(t.Context(), a, "road", trusting(peer, bob))
			done <- made{s, err}
		}()
		s, err := e2e.Accept(t.Context(), b, here)
		other = <-done
		if err = errors.Join(err, other.err); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { s.Close(); other.s.Close() })
		return s
	default:
		done := make(chan made)
		go func() {
			s, err := e2e.Accept(t.Context(), b, hosting(peer, bob))
			done <- made{s, err}
		}()
		s, err := e2e.Connect(t.Context(), a, "road", hereAsClient)
		other = <-done
		if err = errors.Join(err, other.err); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { s.Close(); other.s.Close() })
		return s
	}
}

// A watched Verifier is known peers with somebody who looks on.
type watched struct {
	*trust.KnownPeers
	before, after func(ctx context.Context, got *keys.PublicIdentity) error // nil, or called around each question
	told          atomic.Int32                                              // who want to be told
}

func (w *watched) Verify(ctx context.Context, want trust.Expected, got *keys.PublicIdentity) error {
	if w.before != nil {
		if err := w.before(ctx, got); err != nil {
			return err
		}
	}
	err := w.KnownPeers.Verify(ctx, want, got)
	if w.after != nil {
		w.after(ctx, got)
	}
	return err
}

func (w *watched) OnChange(f func()) (stop func()) {
	w.told.Add(1)
	leave := w.KnownPeers.OnChange(f)
	return sync.OnceFunc(func() {
		w.told.Add(-1)
		leave()
	})
}

// Whoever is revoked just behind the Verifier's yes, and before there is a session, has one no
// longer than others; and a session that is stored does not go on.
func TestA50RevokedDuringTheHandshake(t *testing.T) {
	for _, end := range []string{"server", "accept", "client", "connect", "resumed", "restored"} {
		t.Run(end, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				carol, at := newIdentity("carol"), asClient
				if end == "client" || end == "connect" {
					at = asServer
				}
				v := &watched{KnownPeers: knowing(t, at, carol)}
				var began time.Time
				var done atomic.Bool
				revoke := func(context.Context, *keys.PublicIdentity) error {
					if done.Swap(true) {
						return nil
					}
					if err := v.Revoke(revocationOf(t, carol)); err != nil {
						t.Error(err)
					}
					time.Sleep(promised) // all others have been asked about
					began = time.Now()
					return nil
				}
				if end != "resumed" && end != "restored" {
					v.after = revoke
					s := followedBy(t, v, carol, end)
					wantReason(t, s, began, trust.Revoked)
					return
				}
				sessions := make(chan *e2e.Session, 9)
				handle := func(ctx context.Context, s *e2e.Session) error {
					sessions <- s
					return echo(ctx, s)
				}
				cfg := e2e.ServerConfig{Identity: bob, Verifier: v, Protocol: "test/1", Options: e2e.Options{Logger: silent}}
				if end == "restored" {
					cfg = stored(cfg, sessionstore.Memory())
				}
				r := &road{srv: newServer(t, cfg, handle)}
				c := r.client(t, trusting(carol, bob))
				s := <-sessions
				mustSend(t, c, "x")
				mustReceive(t, c, "x")
				v.after = revoke
				if end == "resumed" {
					r.cut()
				} else {
					old := r.srv
					r.set(func(r *road) { r.srv = newServer(t, cfg, handle) })
					stop(t, old)
				}
				if end == "resumed" {
					<-s.Done()
				}
				if _, err := c.Receive(t.Context()); err == nil {
					t.Error("the client goes on")
				}
				if end == "restored" {
					select {
					case s = <-sessions:
					default:
						return // it was over before the function ran
					}
				}
				wantReason(t, s, time.Now(), trust.Revoked)
			})
		})
	}
}

// A Verifier that has no answer, or gives none, has not said no; it is asked again, and holds
// nobody else up. One that hangs for one peer says no to others all the same.
func TestA50FollowingAVerifierWithoutAnAnswer(t *testing.T) {
	for name, hangs := range map[string]bool{"hangs": true, "is down": false} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				carol, dave := newIdentity("carol"), newIdentity("dave")
				v := &watched{KnownPeers: knowing(t, asClient, carol, dave, alice)}
				var log notebook
				sessions := make(chan *e2e.Session, 9)
				srv := newServer(t, e2e.ServerConfig{Identity: bob, Verifier: v, Protocol: "test/1", Options: e2e.Options{Logger: log.logger()}},
					func(ctx context.Context, s *e2e.Session) error {
						sessions <- s
						return echo(ctx, s)
					})
				r := &road{srv: srv}
				var asked atomic.Int32
				var mute atomic.Bool
				release := make(chan struct{})
				v.before = func(_ context.Context, got *keys.PublicIdentity) error {
					if !mute.Load() || got.Fingerprint() != carol.Fingerprint() {
						return nil
					}
					asked.Add(1)
					if hangs {
						<-release
						return nil
					}
					return errors.New("the list cannot be had")
				}
				open := func(id *keys.Identity) (c, s *e2e.Session) {
					c = r.client(t, trusting(id, bob))
					t.Cleanup(func() { c.Close() })
					return c, <-sessions
				}
				c, ofCarol := open(carol)
				_, ofDave := open(dave)
				mute.Store(true)
				for range 3 { // one after the other, so that there is a question under way
					began := time.Now()
					if err := errors.Join(v.Forget(asClient, carol.Fingerprint()), v.Forget(asClient, dave.Fingerprint())); err != nil {
						t.Fatal(err)
					}
					wantReason(t, ofDave, began, trust.Unknown)
					if err := v.Admit(asClient, dave.Public()); err != nil {
						t.Fatal(err)
					}
					_, ofDave = open(dave) // a handshake finds its turn too
				}
				time.Sleep(5 * time.Minute)
				if isOver(ofCarol) {
					t.Error("no answer was taken for a no")
				}
				mustSend(t, c, "x")
				mustReceive(t, c, "x")
				if n := asked.Load(); hangs && n != 1 || !hangs && (n < 5 || n > 40) {
					t.Errorf("asked %d times", n)
				}
				mute.Store(false)
				close(release)
				select {
				case <-ofCarol.Done():
				case <-time.After(time.Minute):
					t.Error("nobody asked again")
				}
				stop(t, srv)
				if !strings.Contains(log.text(), `msg="peers not rechecked" reason=`) || strings.Count(log.text(), "not rechecked") > 60 {
					t.Errorf("the log says %s", log.text())
				}
			})
		})
	}
}

// Many sessions are asked about over a while, a few at a time; and a list that changes all the
// time has them asked about no more than twice a second.
func TestA50ManySessionsFollowWithoutAStall(t *testing.T) {
	many := 250
	if longTests() {
		many = 10_000
	}
	bubble(t, func(t *testing.T) {
		carol, dave := newIdentity("carol"), newIdentity("dave")
		v := &watched{KnownPeers: knowing(t, asClient, carol, dave)}
		cfg := e2e.ServerConfig{Identity: bob, Verifier: v, Protocol: "test/1", Options: e2e.Options{Logger: silent}, MaxSessions: many + 1, MaxSessionsPerIdentity: many}
		var thief atomic.Pointer[e2e.Session]
		srv := newServer(t, cfg, func(ctx context.Context, s *e2e.Session) error {
			if s.Peer().Fingerprint() == dave.Fingerprint() {
				thief.Store(s)
			}
			<-ctx.Done()
			return nil
		})
		r := &road{srv: srv}
		for range many {
			r.client(t, trusting(carol, bob))
		}
		r.client(t, trusting(dave, bob))
		var asked, now, most atomic.Int32
		var mu sync.Mutex
		moments := map[time.Time]int{}
		v.before = func(context.Context, *keys.PublicIdentity) error {
			asked.Add(1)
			if n := now.Add(1); n > most.Load() {
				most.Store(n)
			}
			mu.Lock()
			moments[time.Now()]++
			mu.Unlock()
			time.Sleep(time.Millisecond)
			now.Add(-1)
			return nil
		}
		began := time.Now()
		if err := v.Forget(asClient, dave.Fingerprint()); err != nil {
			t.Fatal(err)
		}
		for thief.Load() == nil {
			time.Sleep(time.Millisecond)
		}
		wantReason(t, thief.Load(), began, trust.Unknown)
		time.Sleep(promised)
		mu.Lock()
		times := len(moments)
		mu.Unlock()
		if int(asked.Load()) != many+1 || most.Load() > 64 || times < 3 {
			t.Errorf("asked about %d, of %d sessions, %d at a time, at %d times", asked.Load(), many, most.Load(), times)
		}

		asked.Store(0)
		for i := range 1000 { // in ten seconds
			change := func() error { return v.Admit(asClient, dave.Public()) }
			if i%2 == 1 {
				change = func() error { return v.Forget(asClient, dave.Fingerprint()) }
			}
			if err := change(); err != nil {
				t.Fatal(err)
			}
			time.Sleep(10 * time.Millisecond)
		}
		time.Sleep(promised)
		if n := int(asked.Load()); n < 10*many || n > 22*many {
			t.Errorf("asked %d times about %d sessions in ten seconds", n, many)
		}
		stop(t, srv)
	})
}

// copied returns an identity as another process has it.
func copied(t testing.TB, id *keys.Identity) *keys.Identity {
	t.Helper()
	b, err := id.MarshalCleartext(insecurecleartext.Token{})
	if err != nil {
		t.Fatal(err)
	}
	copied, err := keys.ParseCleartextIdentity(b, insecurecleartext.Token{})
	if err != nil {
		t.Fatal(err)
	}
	return copied
}

// An honest peer that has made a later statement in one session keeps its others, whatever
// happens to somebody else meanwhile.
func TestA54FollowingEndsNoSessionForAnOldStatement(t *testing.T) {
	bubble(t, func(t *testing.T) {
		carol := newIdentity("carol")
		before := copied(t, carol)
		known := knowing(t, asClient, carol)
		sessions := make(chan *e2e.Session, 2)
		r := &road{srv: newServer(t, e2e.ServerConfig{Identity: bob, Verifier: known, Protocol: "test/1", Options: e2e.Options{Logger: silent}},
			func(ctx context.Context, s *e2e.Session) error {
				sessions <- s
				return echo(ctx, s)
			})}
		c := r.client(t, trusting(before, bob)) // another process of hers, which has not looked yet
		s := <-sessions
		if err := carol.Renew(); err != nil {
			t.Fatal(err)
		}
		r.client(t, trusting(carol, bob)).Close()
		if err := known.Verify(t.Context(), asClient, before.Public()); err == nil {
			t.Fatal("the earlier statement is accepted")
		}
		change := func() {
			t.Helper()
			if err := known.Revoke(revocationOf(t, newIdentity("somebody"))); err != nil {
				t.Fatal(err)
			}
			time.Sleep(promised)
		}
		change()
		mustSend(t, c, "x")
		mustReceive(t, c, "x")
		began := time.Now()
		if err := known.Forget(asClient, carol.Fingerprint()); err != nil {
			t.Fatal(err)
		}
		wantReason(t, s, began, trust.Unknown)
	})
}

// Nobody is left behind who wants to be told, however it ended.
func TestFollowersLeave(t *testing.T) {
	bubble(t, func(t *testing.T) {
		v := &watched{KnownPeers: knowing(t, asServer, alice)}
		srv := newServer(t, hosting(alice, bob), echo)
		r := &road{srv: srv}
		me := e2e.Config{Identity: bob, Verifier: v, Protocol: "test/1", Options: e2e.Options{Logger: silent}}
		mine := e2e.ServerConfig{Identity: bob, Verifier: v, Protocol: "test/1", Options: me.Options}
		for i := range 5 {
			c := r.client(t, me)
			if i > 0 && v.told.Load() != 1 {
				t.Errorf("%d are told", v.told.Load())
			}
			c.Close()
		}
		r.set(func(r *road) { r.closed = true })
		if _, err := e2e.DialFunc(t.Context(), "road", me, r.dial); err == nil {
			t.Error("dialled nowhere")
		}
		a, b := transport.Pipe()
		b.Cut()
		if _, err := e2e.Connect(t.Context(), a, "road", me); err == nil {
			t.Error("connected nowhere")
		}
		a, b = transport.Pipe()
		a.Cut()
		if _, err := e2e.Accept(t.Context(), b, mine); err == nil {
			t.Error("accepted nobody")
		}
		srv = newServer(t, mine, echo)
		if v.told.Load() != 1 {
			t.Errorf("%d are told", v.told.Load())
		}
		stop(t, srv)
		if v.told.Load() != 0 {
			t.Errorf("%d are told in the end", v.told.Load())
		}
	})
}

// Clients come, go and come back while the list changes from many sides; whoever is revoked in
// the end has no session.
func TestA50FollowingRaces(t *testing.T) {
	carol, dave := newIdentity("carol"), newIdentity("dave")
	known := knowing(t, asClient, carol, dave)
	var mu sync.Mutex
	open := map[*e2e.Session]bool{}
	srv := newServer(t, e2e.ServerConfig{Identity: bob, Verifier: known, Protocol: "test/1", Options: e2e.Options{Logger: silent}}, func(ctx context.Context, s *e2e.Session) error {
		mu.Lock()
		open[s] = true
		mu.Unlock()
		return echo(ctx, s)
	})
	var all sync.WaitGroup
	for i := range 4 {
		id := []*keys.Identity{carol, dave}[i%2]
		all.Go(func() {
			for range 15 {
				r := &road{srv: srv}
				c, err := e2e.DialFunc(t.Context(), "road", trusting(id, bob), r.dial)
				if err != nil {
					continue // dave
				}
				c.Send(t.Context(), []byte("x"))
				r.cut()
				if i < 2 {
					defer c.Close()
				} else {
					c.Close()
				}
			}
		})
	}
	all.Go(func() {
		for i := range 20 {
			if i == 10 {
				known.Revoke(revocationOf(t, dave))
			}
			known.Admit(trust.Expected{Room: fmt.Sprint(i)}, carol.Public())
			known.Forget(asClient, dave.Fingerprint())
			known.Admit(asClient, dave.Public())
			time.Sleep(time.Millisecond)
		}
	})
	all.Wait()
	mu.Lock()
	defer mu.Unlock()
	for s := range open {
		if s.Peer().Fingerprint() == dave.Fingerprint() {
			select {
			case <-s.Done():
			case <-time.After(30 * time.Second):
				t.Fatal("a revoked client has a session")
			}
		}
	}
}
