package e2e_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"runtime"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hopseal/hopseal/e2e"
	"github.com/hopseal/hopseal/keys"
	"github.com/hopseal/hopseal/keys/trust"
	"github.com/hopseal/hopseal/transport"
	"github.com/hopseal/hopseal/transport/redial"
)

// A55: a login page says 401, and swallows what Refresh asks. When the network is back the
// session is too, whatever became of Refresh.
func TestA55ARefreshThatHangsHoldsUpNoSession(t *testing.T) {
	for name, hang := range map[string]func(context.Context, chan struct{}){
		"for its context":     func(ctx context.Context, _ chan struct{}) { <-ctx.Done() },
		"whatever is over":    func(_ context.Context, over chan struct{}) { <-over },
		"and ends its thread": func(context.Context, chan struct{}) { runtime.Goexit() },
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				over := make(chan struct{})
				defer close(over)
				m := &misanswer{cause: &transport.DialError{Status: http.StatusUnauthorized}, road: road{srv: newServer(t, hosting(bob, alice), echo)}}
				cfg := trusting(alice, bob)
				cfg.Retry.Refresh = func(ctx context.Context) error { hang(ctx, over); return ctx.Err() }
				c, err := e2e.DialFunc(t.Context(), "road", cfg, m.dial)
				if err != nil {
					t.Fatal(err)
				}
				defer c.Close()
				m.strike(1)
				mustSend(t, c, "meanwhile")
				mustReceiveBy(t, c, "meanwhile")
			})
		})
	}
}

// A55: a time to wait is the word of whoever answers, a maintenance page for instance. Some of
// them in a row cost no session with default settings, and one is no reason to give up before
// MaxTime is over.
func TestA55ATimeToWaitEndsNoSession(t *testing.T) {
	const day = 24 * time.Hour
	for name, test := range map[string]struct {
		cause   error
		retry   redial.Policy
		answers int
	}{
		"answers":            {&transport.DialError{Status: http.StatusServiceUnavailable, RetryAfter: day}, redial.Policy{}, 5},
		"closes":             {transport.PeerClosed(transport.CodeTryLater, transport.WaitReason(day, "")), redial.Policy{}, 5},
		"within MaxTime":     {&transport.DialError{Status: http.StatusServiceUnavailable, RetryAfter: day}, redial.Policy{MaxTime: 50 * time.Second}, 1},
		"Cap beyond MaxTime": {&transport.DialError{Status: http.StatusTooManyRequests}, redial.Policy{MaxTime: 4 * time.Second}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				m := &misanswer{cause: test.cause, road: road{srv: newServer(t, hosting(bob, alice), echo)}}
				cfg := trusting(alice, bob)
				cfg.Retry = test.retry
				c, err := e2e.DialFunc(t.Context(), "road", cfg, m.dial)
				if err != nil {
					t.Fatal(err)
				}
				defer c.Close()
				for n := range 2 {
					m.strike(test.answers)
					mustSend(t, c, fmt.Sprint(n))
					mustReceive(t, c, fmt.Sprint(n))
					time.Sleep(time.Minute)
				}
			})
		})
	}
}

// A no that a Decide does not take for one is told as a failed attempt is.
func TestWhatDecideGoesOnBehindIsTold(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var doubts atomic.Int32
		told := make(chan error, 10)
		m := &misanswer{cause: net.ErrClosed, road: road{srv: newServer(t, hosting(bob, alice), echo)}}
		cfg := trusting(alice, bob)
		trusted := cfg.Verifier
		cfg.Verifier = verifierFunc(func(ctx context.Context, want trust.Expected, got *keys.PublicIdentity) error {
			if doubts.Add(-1) >= 0 {
				return &trust.Error{Reason: trust.Unknown, Want: want, Got: got.Fingerprint()}
			}
			return trusted.Verify(ctx, want, got)
		})
		cfg.Retry.Decide = func(error) redial.Action { return redial.Retry }
		cfg.Notify = func(e e2e.Event) {
			if failed := new(e2e.HandshakeError); e.State == e2e.StateReconnecting && errors.As(e.Err, &failed) {
				told <- failed
			}
		}
		c, err := e2e.DialFunc(t.Context(), "road", cfg, m.dial)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		doubts.Store(2)
		m.strike(0)
		mustSend(t, c, "meanwhile")
		mustReceive(t, c, "meanwhile")
		synctest.Wait()
		for range 2 {
			select {
			case err := <-told:
				if failed := err.(*e2e.HandshakeError); failed.Reason != e2e.ReasonUntrusted {
					t.Errorf("told %v", err)
				}
			default:
				t.Fatal("an attempt that failed was not told")
			}
		}
	})
}

type verifierFunc func(context.Context, trust.Expected, *keys.PublicIdentity) error

func (f verifierFunc) Verify(ctx context.Context, want trust.Expected, got *keys.PublicIdentity) error {
	return f(ctx, want, got)
}
