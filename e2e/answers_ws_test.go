//go:build !js

package e2e_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/hopseal/hopseal/e2e"
	"github.com/hopseal/hopseal/e2e/sessionstore"
	"github.com/hopseal/hopseal/internal/hostile"
	"github.com/hopseal/hopseal/transport"
	"github.com/hopseal/hopseal/transport/redial"
)

// throughFront returns the Config of a client behind a front, which comes back soon.
func throughFront(f *hostile.Front) e2e.Config {
	cfg := trusting(alice, bob)
	cfg.Dial = &transport.DialOptions{TLS: &transport.TLSOptions{RootsPEM: f.Roots}}
	cfg.Retry = redial.Policy{Base: 2 * time.Millisecond, Cap: 12 * time.Millisecond, MaxRetryAfter: time.Millisecond}
	return cfg
}

// meets waits until a front has misanswered so many times. The session must not end meanwhile,
// unless it is nil.
func meets(t *testing.T, f *hostile.Front, times int, s *e2e.Session) {
	t.Helper()
	var done <-chan struct{}
	if s != nil {
		done = s.Done()
	}
	for deadline := time.Now().Add(10 * time.Second); f.Met() < times; time.Sleep(time.Millisecond) {
		select {
		case <-done:
			_, err := s.Receive(t.Context())
			t.Fatalf("the session has ended: %v", err)
		default:
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d dials in ten seconds", f.Met())
		}
	}
}

// A55: every answer of a hop, every fault of its certificate and every close code, on the
// first dial, when a session comes back, right after that once more, and when its program has
// been started again. On the first dial Permanent says whether another would help, and no
// other is made; later the session comes back as soon as the hop is well, and nothing is lost.
// The long form has all of TestA55NoAnswerEndsASession over sockets.
func TestA55EveryAnswerOfAFront(t *testing.T) {
	f := hostile.NewFront(t, listen(t, newServer(t, hosting(bob, alice), echo)))
	for _, a := range hostile.Answers(longTests()) {
		t.Run(a.Name, func(t *testing.T) {
			f.Set(&a)
			_, err := e2e.Dial(t.Context(), f.URL, throughFront(f))
			wantFirst(t, a, err)
			if f.Met() != 1 {
				t.Errorf("%d first dials", f.Met())
			}

			f.Set(nil)
			cfg := throughFront(f)
			cfg = stored(cfg, sessionstore.Memory())
			cfg.StoreName = "client"
			c, err := e2e.Dial(t.Context(), f.URL, cfg)
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			for n := range 2 {
				outlastsAnswer(t, f, a, c, fmt.Sprint("message ", n))
			}

			f.Set(&a)
			f.End(0)
			mustSend(t, c, "before the restart")
			back := make(chan struct{})
			go func() {
				defer close(back)
				again, err := e2e.Dial(t.Context(), f.URL, cfg)
				if err != nil {
					t.Errorf("after a restart: %v", err)
					return
				}
				defer again.Close()
				mustReceiveBy(t, again, "before the restart")
			}()
			meets(t, f, 3, nil)
			f.Set(nil)
			<-back
		})
	}
}

// outlastsAnswer has the connection of a session end, by the answer if that is a close code, and
// some dials fail.
func outlastsAnswer(t *testing.T, f *hostile.Front, a hostile.Answer, c *e2e.Session, message string) {
	t.Helper()
	f.Set(&a)
	f.End(a.Close)
	mustSend(t, c, message)
	meets(t, f, 2, c)
	f.Set(nil)
	mustReceive(t, c, message)
}

// wantFirst checks the error of a first dial.
func wantFirst(t *testing.T, a hostile.Answer, err error) {
	t.Helper()
	var verdict interface{ Permanent() bool }
	if !errors.As(err, &verdict) {
		t.Fatalf("the first dial: %v", err)
	}
	transient := map[int]bool{408: true, 429: true, 500: true, 502: true, 503: true, 504: true}
	if want := a.Fault != "" || a.Status != 0 && !transient[a.Status]; verdict.Permanent() != want {
		t.Errorf("the first dial: permanent %v, want %v: %v", verdict.Permanent(), want, err)
	}
	var failed *e2e.HandshakeError
	if closed := errors.As(err, &failed) && failed.Reason == e2e.ReasonLost; closed != (a.Close != 0) {
		t.Errorf("the first dial: %v", err)
	}
}
