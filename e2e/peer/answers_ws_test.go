//go:build !js

package peer_test

import (
	"context"
	"errors"
	"net"
	"net/http/httptest"
	"os"
	"testing"
	"time"

	"github.com/hopseal/hopseal/e2e"
	"github.com/hopseal/hopseal/e2e/peer"
	"github.com/hopseal/hopseal/internal/hostile"
	"github.com/hopseal/hopseal/keys"
	"github.com/hopseal/hopseal/transport"
	"github.com/hopseal/hopseal/transport/redial"
)

// throughFront makes a member of a relay behind a front.
func throughFront(t *testing.T, f *hostile.Front, me, other *keys.Identity, change func(*e2e.Config)) *peer.Node {
	t.Helper()
	cfg := trusting(me, other)
	cfg.Session.Dial = &transport.DialOptions{TLS: &transport.TLSOptions{RootsPEM: f.Roots}}
	cfg.Session.Retry = redial.Policy{Base: 5 * time.Millisecond, Cap: 30 * time.Millisecond, MaxRetryAfter: time.Millisecond}
	change(&cfg.Session)
	node, err := peer.Join(t.Context(), f.URL, topic, cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { node.Close() })
	return node
}

// waitMet waits until a front has misanswered so many times.
func waitMet(t *testing.T, f *hostile.Front, times int) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); f.Met() < times; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d dials in ten seconds: nobody joins again", f.Met())
		}
	}
}

// A55: whatever a hop before the relay answers, or the relay closes with, both members join it
// again, and their session goes on.
func TestA55MembersOutlastEveryAnswer(t *testing.T) {
	web := httptest.NewServer(newRestarter(t))
	t.Cleanup(web.Close)
	f := hostile.NewFront(t, web.URL)
	var refreshing = func(cfg *e2e.Config) {
		cfg.Retry.Refresh = func(context.Context) error { return errors.New("no network") }
	}
	a, b := throughFront(t, f, low, high, func(*e2e.Config) {}), throughFront(t, f, high, low, refreshing)
	s, err := a.Dial(t.Context(), high.Name())
	for ; errors.Is(err, peer.ErrAbsent); s, err = a.Dial(t.Context(), high.Name()) {
		time.Sleep(time.Millisecond)
	}
	if err != nil {
		t.Fatal(err)
	}
	other, err := b.Accept(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, answer := range hostile.Answers(os.Getenv("HOPSEAL_LONG_TESTS") != "") {
		t.Run(answer.Name, func(t *testing.T) {
			f.Set(&answer)
			f.End(answer.Close)
			mustSend(t, s, "there")
			mustSend(t, other, "back")
			waitMet(t, f, 4)
			f.Set(nil)
			mustReceive(t, other, "there")
			mustReceive(t, s, "back")
		})
	}
}

// A node that joins no more says so to whoever waits for it, and why; one that is closed too.
func TestAJoinerThatGivesUpIsTold(t *testing.T) {
	for name, change := range map[string]func(*e2e.Config){
		"MaxTries": func(cfg *e2e.Config) { cfg.Retry.MaxTries = 3 },
		"MaxTime":  func(cfg *e2e.Config) { cfg.Retry.MaxTime = 2 * time.Second },
		"Decide":   func(cfg *e2e.Config) { cfg.Retry.Decide = redial.ActionFor },
		"a panic":  func(cfg *e2e.Config) { cfg.Retry.Decide = func(error) redial.Action { panic("oops") } },
		"Close":    func(*e2e.Config) {},
	} {
		t.Run(name, func(t *testing.T) {
			web := httptest.NewServer(newRestarter(t))
			t.Cleanup(web.Close)
			f := hostile.NewFront(t, web.URL)
			node := throughFront(t, f, low, high, change)
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()
			accepted := make(chan error, 1)
			go func() {
				_, err := node.Accept(ctx)
				accepted <- err
			}()
			f.Set(&hostile.Answer{Status: 404})
			f.End(0)
			want, cause := peer.ErrLeft, name
			if name == "Close" {
				node.Close()
				want = net.ErrClosed
			}
			err := <-accepted
			_, dialled := node.Dial(ctx, high.Name())
			for _, err := range []error{err, dialled} {
				if !errors.Is(err, want) {
					t.Errorf("%v, want %v, by %s", err, want, cause)
				}
			}
			if refused := new(transport.DialError); name != "Close" && name != "a panic" && (!errors.As(err, &refused) || refused.Status != 404) {
				t.Errorf("%v does not say why", err)
			}
		})
	}
}
