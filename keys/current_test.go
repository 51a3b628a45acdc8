package keys

import (
	"context"
	"errors"
	"math"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// Check names the identity that cannot be used, and says what to do.
func TestCheckNamesWhatIsWrong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		id := testIdentity(t, "me")
		begin, end := id.Public().Issued(), id.Public().Expires()
		gone := newIdentity(must(id.state.Load().revoked(begin)))
		for _, c := range []struct {
			of   *Identity
			at   time.Time
			want error
			says string
		}{
			{id, begin.Add(-ClockSkew), nil, ""},
			{id, begin.Add(-ClockSkew - time.Second), ErrNotYetValid, "was issued at 2000-01-01T00:00:00Z, which is still to come"},
			{id, end.Add(-time.Second), nil, ""},
			{id, end, ErrExpired, "expired at 2000-01-31T00:00:00Z, 0 seconds ago"},
			{id, end.Add(50 * time.Hour), ErrExpired, ", 2 days ago, and peers refuse it: renew it with 'hopseal key rotate' or Identity.Renew, and have Store.Run keep it alive"},
			{gone, begin, ErrRevoked, "make a new one"},
			{gone, end, ErrRevoked, "make a new one"},
		} {
			err := c.of.Check(c.at)
			if !errors.Is(err, c.want) || err != nil && !strings.Contains(err.Error(), c.says) {
				t.Errorf("at %v: %v, want %v", c.at, err, c.want)
			}
		}
		if err := new(Identity).Check(begin); err == nil {
			t.Error("the zero Identity is fine")
		}
	})
}

// A program that keeps its identity in memory keeps it valid for a year, even after a clock was
// wrong.
func TestKeepAlive(t *testing.T) {
	if err := new(Identity).KeepAlive(t.Context()); err == nil || !strings.Contains(err.Error(), "the Identity is empty") {
		t.Errorf("of an empty one: %v", err)
	}
	synctest.Test(t, func(t *testing.T) {
		id := testIdentity(t, "me")
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- id.KeepAlive(ctx) }()
		serials := map[uint64]bool{}
		for range 365 {
			time.Sleep(24 * time.Hour)
			serials[id.Public().Serial()] = true
			if left := time.Until(id.Public().Expires()); id.Check(time.Now()) != nil || left < 14*24*time.Hour {
				t.Fatalf("%v left", left)
			}
		}
		if n := len(serials); n < 24 || n > 26 {
			t.Errorf("%d statements in a year", n)
		}
		ahead := must(id.state.Load().renewed(time.Now().Add(1000 * time.Hour)))
		id.state.Store(ahead)
		time.Sleep(2 * time.Hour)
		if err := id.Check(time.Now()); err != nil || id.Public().Serial() <= ahead.public.Serial() {
			t.Errorf("from the future: %v", err)
		}
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		id.state.Store(must(id.state.Load().revoked(time.Now())))
		if err := id.KeepAlive(t.Context()); !errors.Is(err, ErrRevoked) || id.Public().Serial() != math.MaxUint64 {
			t.Error(err)
		}
	})
}
