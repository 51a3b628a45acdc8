package e2e_test

import (
	"context"
	"errors"
	"io"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hopseal/hopseal/e2e"
	"github.com/hopseal/hopseal/e2e/sessionstore"
	"github.com/hopseal/hopseal/keys"
	"github.com/hopseal/hopseal/keys/trust"
	"github.com/hopseal/hopseal/transport"
)

// A moody Verifier and Authenticate say no for a time.
type moody struct {
	trust.Verifier
	mu sync.Mutex
	no error
}

func (m *moody) says(no error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.no = no
}

func (m *moody) mood() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.no
}

func (m *moody) Verify(ctx context.Context, want trust.Expected, got *keys.PublicIdentity) error {
	if _, isTrust := errors.AsType[*trust.Error](m.mood()); isTrust {
		return m.mood()
	}
	return m.Verifier.Verify(ctx, want, got)
}

func (m *moody) authenticate(context.Context, e2e.Peer, []byte) (e2e.Grant, error) {
	switch no := m.mood(); no {
	case errPast:
		return e2e.Grant{Expires: time.Now().Add(-time.Hour)}, nil
	default:
		return e2e.Grant{Expires: time.Now().Add(12 * time.Hour)}, no
	}
}

// errPast has moody grant something that has ended.
var errPast = errors.New("granted until an hour ago")

// A visit is a session between two ends that have moods.
type visit struct {
	t        *testing.T
	road     *road
	cfg      e2e.ServerConfig // of the server
	at, here *moody           // of the server, and of the client
	her      *keys.Identity
	me       *keys.Identity
	client   *e2e.Session
	server   *e2e.Session // the first one

	mu    sync.Mutex
	heard []error // in the client's Notify
}

func newVisit(t *testing.T, store bool) *visit {
	v := &visit{t: t, her: newIdentity("her"), me: newIdentity("me")}
	own := trusting(v.her, v.me)
	v.cfg = hosting(v.me, v.her)
	v.at, v.here = &moody{Verifier: v.cfg.Verifier}, &moody{Verifier: own.Verifier}
	v.cfg.Verifier, own.Verifier = v.at, v.here
	v.cfg.Authenticate, own.Credentials = v.at.authenticate, showing(always("a token")).Credentials
	v.cfg.ParkTimeout = 2 * time.Hour
	if store {
		v.cfg = stored(v.cfg, sessionstore.Memory())
	}
	own.Notify = func(e e2e.Event) {
		v.mu.Lock()
		defer v.mu.Unlock()
		v.heard = append(v.heard, e.Err)
	}
	sessions := make(chan *e2e.Session, 9)
	serves := func(ctx context.Context, s *e2e.Session) error {
		sessions <- s
		return echo(ctx, s)
	}
	v.road = &road{srv: newServer(t, v.cfg, serves)}
	v.client = v.road.client(t, own)
	v.server = <-sessions
	v.talks("before")
	synctest.Wait() // until the server has stored that it was given that
	return v
}

func (v *visit) talks(what string) {
	v.t.Helper()
	mustSend(v.t, v.client, what)
	mustReceive(v.t, v.client, what)
}

// outdatedWays are how an end comes to ask again about the other, which has a mood then.
var outdatedWays = map[string]struct {
	store bool
	whose func(v *visit) *moody
	do    func(v *visit)
}{
	"a client comes back": {false, (*visit).serverMood, func(v *visit) { v.road.cut() }},
	"a client comes back to a server of today": {true, (*visit).serverMood, func(v *visit) {
		former := v.road.srv
		v.road.set(func(r *road) { r.srv = newServer(v.t, v.cfg, echo) })
		stop(v.t, former)
	}},
	"a server is asked again": {false, (*visit).clientMood, func(v *visit) { v.road.cut() }},
	"a client renews":         {false, (*visit).serverMood, func(v *visit) { v.renews(v.her) }},
	"a server renews":         {false, (*visit).clientMood, func(v *visit) { v.renews(v.me) }},
	"the server rechecks":     {false, (*visit).serverMood, func(v *visit) { v.road.srv.Recheck(v.t.Context()) }},
	"the client rechecks":     {false, (*visit).clientMood, func(v *visit) { v.client.Recheck(v.t.Context()) }},
}

func (v *visit) serverMood() *moody { return v.at }
func (v *visit) clientMood() *moody { return v.here }

func (v *visit) renews(id *keys.Identity) {
	time.Sleep(time.Second)
	if err := id.Renew(); err != nil {
		v.t.Error(err)
	}
}

func trustError(why trust.Reason) error { return &trust.Error{Reason: why} }

// A59: a no that a clock can cause, or a statement that another connection has overtaken, ends no
// session in any place where an end is asked about the other; when it is over the session goes
// on. A no that no clock can cause ends the session in all of them.
func TestA59NoClockEndsASession(t *testing.T) {
	for way, w := range outdatedWays {
		for _, c := range []struct {
			name  string
			no    error
			stays bool
			trust bool
		}{
			{"expired", trustError(trust.Expired), true, true},
			{"not yet valid", trustError(trust.NotYetValid), true, true},
			{"rolled back", trustError(trust.RolledBack), true, true},
			{"revoked", trustError(trust.Revoked), false, true},
			{"unknown", trustError(trust.Unknown), false, true},
			{"changed", trustError(trust.Changed), false, true},
			{"credentials expired", e2e.ErrCredentialsExpired, true, false},
			{"grant in the past", errPast, true, false},
			{"credentials refused", e2e.ErrCredentials, false, false},
			{"forbidden", transport.ErrForbidden, false, false},
		} {
			if !c.trust && (way != "a client comes back" && way != "a client comes back to a server of today" && way != "a client renews") {
				continue // nobody is asked for credentials
			}
			t.Run(way+", "+c.name, func(t *testing.T) {
				bubble(t, func(t *testing.T) {
					v := newVisit(t, w.store)
					w.whose(v).says(c.no)
					w.do(v)
					time.Sleep(20 * time.Minute)
					here, there := isOver(v.client), !w.store && isOver(v.server)
					if c.stays && (here || there) || !c.stays && !here { // a server lets a session wait that its client has given up
						t.Fatalf("the client's session is over: %v, the server's: %v", here, there)
					}
					if c.stays {
						w.whose(v).says(nil)
						time.Sleep(5 * time.Minute)
						v.talks("after")
					}
				})
			})
		}
	}
}

// Whoever is refused for its time is told so, while it tries.
func TestOutdatedClientIsToldWhy(t *testing.T) {
	for what, no := range map[string]error{
		"the server says that its statement has expired, is from the future, or is not its latest": trustError(trust.Expired),
		"the credentials have expired, or are not valid yet":                                       e2e.ErrCredentialsExpired,
	} {
		bubble(t, func(t *testing.T) {
			v := newVisit(t, false)
			v.at.says(no)
			v.road.cut()
			time.Sleep(10 * time.Minute)
			v.mu.Lock()
			defer v.mu.Unlock()
			told := 0
			for _, err := range v.heard {
				if errors.As(err, new(*e2e.HandshakeError)) && strings.Contains(err.Error(), what) {
					told++
				}
			}
			if told == 0 {
				t.Errorf("it was never told %q: %v", what, v.heard)
			}
			v.at.says(nil)
		})
	}
}

// A session whose credentials have really ended does not outlive them because of that: what was
// granted is measured.
func TestA50ExpiredCredentialsEndByTheirGrant(t *testing.T) {
	bubble(t, func(t *testing.T) {
		v := newVisit(t, false)
		v.at.says(e2e.ErrCredentialsExpired)
		time.Sleep(13 * time.Hour)
		synctest.Wait()
		if !isOver(v.client) || !isOver(v.server) {
			t.Error("it goes on")
		}
		if _, err := v.client.Receive(t.Context()); !errors.Is(err, e2e.ErrCredentials) || errors.Is(err, io.EOF) {
			t.Error(err)
		}
	})
}
