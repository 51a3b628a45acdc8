//go:build !js

package transport

import (
	"context"
	"errors"
	"net/http"
	"runtime"
	"testing"
	"testing/synctest"
	"time"
)

// A58: Accept waits for an Authenticate as long as it has said, whatever that does. A06: whoever
// has not answered has not said yes.
func TestA58AuthenticateHasItsTime(t *testing.T) {
	for name, c := range map[string]struct {
		call func(ctx context.Context) (Grant, error)
		want error
		took time.Duration
	}{
		"answers":             {func(context.Context) (Grant, error) { return Grant{Principal: "ann"}, nil }, nil, 0},
		"refuses":             {func(context.Context) (Grant, error) { return Grant{}, ErrForbidden }, ErrForbidden, 0},
		"hangs":               {func(context.Context) (Grant, error) { time.Sleep(time.Hour); return Grant{Principal: "eve"}, nil }, context.DeadlineExceeded, authTimeout},
		"ends with the time":  {func(ctx context.Context) (Grant, error) { <-ctx.Done(); return Grant{}, ctx.Err() }, context.DeadlineExceeded, authTimeout},
		"ends its goroutine":  {func(context.Context) (Grant, error) { runtime.Goexit(); return Grant{}, nil }, errNoAnswer, 0},
		"takes a few seconds": {func(context.Context) (Grant, error) { time.Sleep(5 * time.Second); return Grant{Principal: "ann"}, nil }, nil, 5 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				start := time.Now()
				g, err := callAuthenticate(t.Context(), func(ctx context.Context, _ *Caller) (Grant, error) { return c.call(ctx) }, nil)
				if !errors.Is(err, c.want) || (err == nil) != (g.Principal == "ann") {
					t.Errorf("got %v, %v, want %v", g, err, c.want)
				}
				if took := time.Since(start); took != c.took {
					t.Errorf("it took %v, want %v", took, c.took)
				}
				time.Sleep(time.Hour) // until it has returned
			})
		})
	}
	t.Run("panics", func(t *testing.T) {
		defer func() {
			if got := recover(); got != http.ErrAbortHandler {
				t.Errorf("it panics with %v", got)
			}
		}()
		callAuthenticate(t.Context(), func(context.Context, *Caller) (Grant, error) { panic(http.ErrAbortHandler) }, nil)
	})
}

// Those that never answer are so many at most, and whoever comes then is told to come later.
func TestA58AuthenticateThatNeverAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		before := authCalls
		defer func() { authCalls = before }()
		authCalls = make(chan struct{}, 3)
		for range 10 {
			_, err := callAuthenticate(t.Context(), func(context.Context, *Caller) (Grant, error) { time.Sleep(time.Hour); return Grant{}, nil }, nil)
			if !errors.Is(err, context.DeadlineExceeded) {
				t.Error(err)
			}
		}
		if got := len(authCalls); got != 3 {
			t.Errorf("%d calls are under way, want 3", got)
		}
		time.Sleep(time.Hour)
		synctest.Wait()
		if got := len(authCalls); got != 0 {
			t.Errorf("%d calls are under way that have ended", got)
		}
	})
}

// The time to wait of an Authenticate that cannot decide reaches the client in whole seconds.
func TestUnavailableSaysWhenToComeBack(t *testing.T) {
	r, _ := http.NewRequest(http.MethodGet, "http://x/", nil)
	for wait, want := range map[time.Duration]string{0: "5", time.Second: "1", 29*time.Second + 1: "30", 1e6 * time.Hour: "86400"} {
		no := notGranted(r, "", &UnavailableError{RetryAfter: wait, Err: errors.New("down")})
		if got := no.header.Get("Retry-After"); no.status != http.StatusServiceUnavailable || got != want {
			t.Errorf("%v: %d, Retry-After %q, want %q", wait, no.status, got, want)
		}
	}
}
