package e2e_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hopseal/hopseal/e2e"
	"github.com/hopseal/hopseal/keys"
	"github.com/hopseal/hopseal/keys/trust"
	"github.com/hopseal/hopseal/transport"
)

const day = 24 * time.Hour

// A journal is what a Logger was told.
type journal struct{ notebook }

func (j *journal) logger() *slog.Logger { return slog.New(slog.NewJSONHandler(j, nil)) }

// lines returns the lines with that text in their message, and forgets all.
func (j *journal) lines(t *testing.T, text string) (found []map[string]any) {
	t.Helper()
	j.mu.Lock()
	defer j.mu.Unlock()
	for line := range strings.Lines(j.out.String()) {
		var fields map[string]any
		if err := json.Unmarshal([]byte(line), &fields); err != nil {
			t.Fatal(err)
		}
		if strings.Contains(fields["msg"].(string), text) {
			found = append(found, fields)
		}
	}
	j.out.Reset()
	return found
}

// greetings returns what became of a handshake at each end.
func greetings(srv *e2e.Server, cfg e2e.Config) (client, server error) {
	a, b := transport.Pipe()
	ended := serve(srv, b)
	s, client := e2e.Connect(context.Background(), a, "pipe", cfg)
	if client == nil {
		s.Close()
	}
	return client, <-ended
}

// A server that was never renewed works for 30 days. Then it says itself what is wrong, and each
// client hears it too.
func TestServerOfThirtyDays(t *testing.T) {
	bubble(t, func(t *testing.T) {
		me, her := newIdentity("bob"), newIdentity("alice")
		log := new(journal)
		cfg := hosting(me, her)
		cfg.Logger = log.logger()
		srv := newServer(t, cfg, echo)
		if client, _ := greetings(srv, trusting(her, me)); client != nil {
			t.Fatal(client)
		}
		expires := me.Public().Expires()
		if got := srv.Stats().IdentityExpires; !got.Equal(expires) {
			t.Errorf("Stats say %v, want %v", got, expires)
		}
		time.Sleep(31 * day)
		if err := her.Renew(); err != nil {
			t.Fatal(err)
		}
		log.lines(t, "")
		for range 3 {
			client, server := greetings(srv, trusting(her, me))
			refusal, ok := errors.AsType[*trust.Error](client)
			if !ok || refusal.Reason != trust.Expired || !strings.Contains(client.Error(), "the statement of peer "+me.Fingerprint().String()+" expired at ") {
				t.Errorf("the client hears: %v", client)
			}
			failed, ok := errors.AsType[*e2e.HandshakeError](server)
			if !ok || failed.Reason != e2e.ReasonIdentity || !errors.Is(server, keys.ErrExpired) || !strings.Contains(server.Error(), expires.UTC().Format(time.RFC3339)) {
				t.Errorf("the server says: %v", server)
			}
		}
		lines := log.lines(t, "handshake failed")
		if len(lines) != 1 || lines[0]["level"] != "ERROR" || lines[0]["reason"] != "identity" {
			t.Errorf("its log: %v", lines)
		}
		if n := srv.Stats().Greeted["identity"]; n != 3 {
			t.Errorf("counted %d", n)
		}
		if err := me.Renew(); err != nil {
			t.Fatal(err)
		}
		if client, server := greetings(srv, trusting(her, me)); client != nil {
			t.Errorf("renewed: %v, %v", client, server)
		}
	})
}

// refusedEverywhere has every call that begins something refuse an identity.
func refusedEverywhere(t *testing.T, id *keys.Identity, want error) {
	t.Helper()
	cfg, served := trusting(id, bob), hosting(id, bob)
	dialled := false
	_, fromServer := e2e.NewServer(served, echo)
	_, fromDial := e2e.Dial(t.Context(), "ws://127.0.0.1:1/", cfg)
	_, fromDialFunc := e2e.DialFunc(t.Context(), "x", cfg, func(context.Context) (transport.Conn, error) {
		dialled = true
		return nil, errors.New("no")
	})
	a, b := transport.Pipe()
	_, fromConnect := e2e.Connect(t.Context(), a, "x", cfg)
	_, fromAccept := e2e.Accept(t.Context(), b, served)
	for _, err := range []error{fromServer, fromDial, fromDialFunc, fromConnect, fromAccept} {
		if !errors.Is(err, want) || !strings.Contains(err.Error(), "Config.Identity: keys: the identity "+id.Fingerprint().String()) {
			t.Errorf("%v", err)
		}
	}
	if dialled {
		t.Error("it has dialled")
	}
}

// Nobody begins with an identity that peers refuse.
func TestOwnIdentityIsCheckedFirst(t *testing.T) {
	bubble(t, func(t *testing.T) {
		id := newIdentity("old")
		time.Sleep(30 * day)
		refusedEverywhere(t, id, keys.ErrExpired)
	})
	synctest.Test(t, func(t *testing.T) { refusedEverywhere(t, alice, keys.ErrNotYetValid) }) // long before it was issued
}

// hesitant is a Verifier that takes its time.
type hesitant struct {
	trust.Verifier
	wait time.Duration
}

func (s hesitant) Verify(ctx context.Context, want trust.Expected, got *keys.PublicIdentity) error {
	time.Sleep(s.wait)
	return s.Verifier.Verify(ctx, want, got)
}

// A server says to a client that its statement has expired, by the server's clock, and the same
// to one that it does not know.
func TestExpiredClientIsToldSo(t *testing.T) {
	bubble(t, func(t *testing.T) {
		her, stranger := newIdentity("alice"), newIdentity("stranger")
		time.Sleep(30*day - time.Minute)
		me := newIdentity("bob")
		log := new(journal)
		cfg := hosting(me, her)
		cfg.Logger, cfg.HandshakeTimeout = log.logger(), time.Hour
		cfg.Verifier = hesitant{cfg.Verifier, 2 * time.Minute}
		srv := newServer(t, cfg, echo)
		for _, peer := range []*keys.Identity{her, stranger} {
			own := trusting(peer, me)
			own.HandshakeTimeout = time.Hour
			client := make(chan error, 1)
			go func() {
				err, server := greetings(srv, own)
				want := map[bool]trust.Reason{true: trust.Expired, false: trust.Unknown}[peer == her]
				if refusal, ok := errors.AsType[*trust.Error](server); !ok || refusal.Reason != want {
					t.Errorf("the server says: %v", server)
				}
				client <- err
			}()
			defer func() {
				err := <-client
				failed, ok := errors.AsType[*e2e.HandshakeError](err)
				if !ok || failed.Reason != e2e.ReasonIdentity || !strings.Contains(err.Error(), "the server says that its statement has expired") {
					t.Errorf("%s hears: %v", peer.Name(), err)
				}
			}()
		}
		time.Sleep(5 * time.Minute)
		if lines := log.lines(t, "handshake failed"); len(lines) != 2 || !slices.ContainsFunc(lines, func(l map[string]any) bool { return l["reason"] == "peer_expired" }) {
			t.Errorf("its log: %v", lines)
		}
		if got := srv.Stats().Greeted; got["peer_expired"] != 1 || got["untrusted"] != 1 {
			t.Errorf("counted %v", got)
		}
	})
}

// A client whose identity has expired keeps its session, and goes on with it once it is renewed.
func TestSessionWaitsForARenewal(t *testing.T) {
	bubble(t, func(t *testing.T) {
		her := newIdentity("alice")
		time.Sleep(30*day - time.Hour)
		me := newIdentity("bob")
		cfg, own := hosting(me, her), trusting(her, me)
		cfg.ParkTimeout = 12 * time.Hour
		srv := newServer(t, cfg, echo)
		var links atomic.Int64
		var latest atomic.Pointer[transport.PipeConn]
		var refused atomic.Int64
		own.Notify = func(e e2e.Event) {
			if e.Err != nil && strings.Contains(e.Err.Error(), "the server says that its statement has expired") {
				refused.Add(1)
			}
		}
		s, err := e2e.DialFunc(t.Context(), "pipe", own, func(context.Context) (transport.Conn, error) {
			links.Add(1)
			a, b := transport.Pipe()
			latest.Store(a)
			serve(srv, b)
			return a, nil
		})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		time.Sleep(2 * time.Hour)
		latest.Load().Close(transport.CodeNormal, "")
		time.Sleep(10 * time.Minute)
		if refused.Load() == 0 || refused.Load() != links.Load()-1 {
			t.Errorf("%d links, told %d times", links.Load(), refused.Load())
		}
		if err := her.Renew(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Minute)
		if err := s.Send(t.Context(), []byte("still here")); err != nil {
			t.Fatal(err)
		}
		if answer, err := s.Receive(t.Context()); err != nil || string(answer) != "still here" {
			t.Error(string(answer), err)
		}
	})
}

// A program that is up for long is told 7, 3 and 1 days before its identity expires, and when it
// has: once each, by its server and once for all of its sessions.
func TestRemindersComeOnce(t *testing.T) {
	bubble(t, func(t *testing.T) {
		me, her := newIdentity("bob"), newIdentity("alice")
		at, here := new(journal), new(journal)
		cfg, own := hosting(me, her), trusting(her, me)
		cfg.Logger, own.Logger = at.logger(), here.logger()
		cfg.KeepAlive, own.KeepAlive = 30*time.Minute, 30*time.Minute
		srv := newServer(t, cfg, echo)
		check := func(when string, level ...string) {
			t.Helper()
			for range 3 {
				a, b := transport.Pipe()
				serve(srv, b)
				if s, err := e2e.Connect(t.Context(), a, "pipe", own); err == nil {
					defer s.Close()
				}
			}
			time.Sleep(time.Hour + time.Minute)
			for whose, j := range map[string]*journal{"server": at, "client": here} {
				lines := j.lines(t, whose+"'s identity ")
				if len(lines) != len(level) || len(lines) > 0 && lines[0]["level"] != level[0] {
					t.Errorf("%s, %s: %v", when, whose, lines)
				}
			}
		}
		expires := me.Public().Expires()
		left := func(d time.Duration) { time.Sleep(time.Until(expires.Add(-d))) }
		check("new")
		left(8 * day)
		check("eight days")
		for _, days := range []time.Duration{7, 3, 1} {
			left(days*day - time.Minute)
			check(fmt.Sprint(int(days)), "WARN")
			check(fmt.Sprint(int(days), " again"))
		}
		left(30 * time.Minute) // with sessions, since there will be no more
		check("expired", "ERROR")
		time.Sleep(10 * day)
		check("long after")
		if err := errors.Join(me.Renew(), her.Renew()); err != nil {
			t.Fatal(err)
		}
		check("renewed")
	})
}

// A session that Accept has made reminds of its own identity too, and so does one at either end that
// never asks whether the other is there.
func TestRemindersWithoutAServer(t *testing.T) {
	for _, alive := range []time.Duration{30 * time.Minute, -1} {
		bubble(t, func(t *testing.T) {
			me, her := newIdentity("bob"), newIdentity("alice")
			time.Sleep(time.Until(me.Public().Expires().Add(-12 * time.Hour)))
			at, here := new(journal), new(journal)
			cfg, own := hosting(me, her), trusting(her, me)
			cfg.Logger, own.Logger = at.logger(), here.logger()
			cfg.KeepAlive, own.KeepAlive = alive, alive
			a, b := transport.Pipe()
			accepted := make(chan *e2e.Session, 1)
			go func() {
				s, err := e2e.Accept(t.Context(), b, cfg)
				if err != nil {
					t.Error(err)
				}
				accepted <- s
			}()
			s, err := e2e.Connect(t.Context(), a, "pipe", own)
			if err != nil {
				t.Fatal(err)
			}
			other := <-accepted
			defer other.Close()
			defer s.Close()
			for _, level := range []string{"WARN", "ERROR"} {
				synctest.Wait()
				for whose, j := range map[string]*journal{"server": at, "client": here} {
					if lines := j.lines(t, "this "+whose+"'s identity "); len(lines) != 1 || lines[0]["level"] != level {
						t.Errorf("KeepAlive %v, %s: %v", alive, whose, lines)
					}
				}
				time.Sleep(14 * time.Hour)
			}
		})
	}
}
