package keystore

import (
	"bytes"
	"context"
	"errors"
	"log"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hopseal/hopseal/keys"
	"github.com/hopseal/hopseal/keys/internal/ring"
)

// TestRunGoesOnAfterAFailure has a store that cannot be written for some time. Run tells it by
// default, until when it has to work and that it is too late, and renews the identity when the
// store can be written again.
func TestRunGoesOnAfterAFailure(t *testing.T) {
	cheap(t)
	for name, down := range map[string]time.Duration{"a moment": 5 * time.Minute, "too long": 20 * time.Minute} {
		t.Run(name, func(t *testing.T) {
			text := logged(t)
			synctest.Test(t, func(t *testing.T) {
				s, path := newStore(t)
				expires := s.Identity().Public().Expires()
				ahead := time.Until(expires) - 15*time.Minute
				s.clock = func() time.Time { return time.Now().Add(ahead) }
				ctx, cancel := context.WithCancel(t.Context())
				done := make(chan error, 1)
				move := func(to string) {
					s.mu.Lock()
					defer s.mu.Unlock()
					s.path = to
				}
				move(filepath.Join(path, "below", "a file")) // where nothing can be written
				go func() { done <- s.Run(ctx, RotationPolicy{}) }()
				time.Sleep(down)
				if !s.Identity().Public().Expires().Equal(expires) {
					t.Error("what was not written took effect")
				}
				move(path)
				time.Sleep(2 * time.Minute)
				synctest.Wait()
				if left := s.Identity().Public().Expires().Sub(s.clock()); left < keys.MaxLifetime/2 {
					t.Errorf("the statement lives for %v more", left)
				}
				cancel()
				if err := <-done; !errors.Is(err, context.Canceled) {
					t.Error(err)
				}
			})
			for line, want := range map[string]bool{"it has to work before the identity expires": true, "expires=": true,
				"peers refuse it": down == 20*time.Minute, "works again": true} {
				if strings.Contains(text.String(), line) != want {
					t.Errorf("%q in the log: want %v:\n%s", line, want, text)
				}
			}
			if n := strings.Count(text.String(), "\n"); n > 3 {
				t.Errorf("%d lines", n)
			}
		})
	}
}

// TestRunEndsWithItsStore has a Store that is closed, which no waiting mends.
func TestRunEndsWithItsStore(t *testing.T) {
	cheap(t)
	synctest.Test(t, func(t *testing.T) {
		s, _ := newStore(t)
		done := make(chan error, 1)
		go func() { done <- s.Run(t.Context(), RotationPolicy{}) }()
		time.Sleep(time.Minute)
		s.Close()
		if err := <-done; !errors.Is(err, ErrClosed) {
			t.Error(err)
		}
	})
}

// TestRunWarnsOfAKeysetThatFills is told a month ahead, once in a while.
func TestRunWarnsOfAKeysetThatFills(t *testing.T) {
	text := logged(t)
	var now time.Time
	s := lasting(t, &now)
	small(t)
	fill(t, s, ring.Capacity-1)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	policy := DefaultRotation
	policy.Keep = 0
	s.Run(ctx, policy)
	if n := strings.Count(text.String(), "a keyset will be full"); n != 2 {
		t.Errorf("%d warnings: %s", n, text)
	}
}

// logged has slog.Default write into a buffer.
func logged(t *testing.T) *bytes.Buffer {
	t.Helper()
	text, before, flags := new(bytes.Buffer), slog.Default(), log.Flags()
	slog.SetDefault(slog.New(slog.NewTextHandler(text, nil)))
	t.Cleanup(func() { slog.SetDefault(before); log.SetFlags(flags) })
	return text
}
