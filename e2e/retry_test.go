package e2e_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hopseal/hopseal/e2e"
	"github.com/hopseal/hopseal/e2e/sessionstore"
	"github.com/hopseal/hopseal/transport"
	"github.com/hopseal/hopseal/transport/redial"
)

// A Dial that does not bring a stored session back leaves it where it is, says why, and the
// next one finds everything.
func TestDialLeavesASessionThatIsStored(t *testing.T) {
	notFound := &transport.DialError{Status: 404}
	_, badURL := transport.Dial(t.Context(), "gopher://example.com", nil)
	for name, test := range map[string]struct {
		cause     error
		change    func(*e2e.Config)
		want      error
		permanent bool
		took      time.Duration // at least
	}{
		"its context ends":       {notFound, func(*e2e.Config) {}, context.DeadlineExceeded, false, time.Hour},
		"its tries are over":     {notFound, func(cfg *e2e.Config) { cfg.Retry.MaxTries = 3 }, notFound, false, 0},
		"its time is over":       {notFound, func(cfg *e2e.Config) { cfg.Retry.MaxTime = time.Minute }, notFound, false, 0},
		"the caller's Decide":    {notFound, func(cfg *e2e.Config) { cfg.Retry.Decide = redial.ActionFor }, notFound, false, 0},
		"the URL cannot be used": {badURL, func(*e2e.Config) {}, badURL, true, 0},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				server := hosting(bob, alice)
				server.ParkTimeout = 23 * time.Hour
				m := &misanswer{cause: test.cause, road: road{srv: newServer(t, server, echo)}}
				cfg := stored(trusting(alice, bob), sessionstore.Memory())
				cfg.StoreName = "client"
				c, err := e2e.DialFunc(t.Context(), "road", cfg, m.dial)
				if err != nil {
					t.Fatal(err)
				}
				m.strike(1 << 30)
				mustSend(t, c, "before")
				tried := cfg
				test.change(&tried)
				ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
				defer cancel()
				start := time.Now()
				_, err = e2e.DialFunc(ctx, "road", tried, m.dial)
				var closed *e2e.CloseError
				var verdict interface{ Permanent() bool }
				if !errors.As(err, &closed) || !closed.Stored || closed.Gap != nil || !errors.Is(err, test.want) || !errors.Is(err, test.cause) {
					t.Errorf("%v", err)
				}
				if !errors.As(err, &verdict) || verdict.Permanent() != test.permanent {
					t.Errorf("permanent: %v", err)
				}
				if took := time.Since(start); took < test.took || test.took == 0 && took > 10*time.Minute {
					t.Errorf("returned after %v", took)
				}
				m.strike(0)
				again, err := e2e.DialFunc(t.Context(), "road", cfg, m.dial)
				if err != nil {
					t.Fatal(err)
				}
				mustReceive(t, again, "before")
				again.Close()
				c.Close()
			})
		})
	}
}

// What the application at this end has said ends a session, if it is its Decide, its limits,
// or a panic of its own.
func TestTheApplicationEndsItsSession(t *testing.T) {
	for name, test := range map[string]struct {
		status int
		change func(*redial.Policy)
		want   any // in the error
	}{
		"Decide":         {403, func(r *redial.Policy) { r.Decide = redial.ActionFor }, new(*transport.DialError)},
		"Decide panics":  {403, func(r *redial.Policy) { r.Decide = func(error) redial.Action { panic("oops") } }, new(*e2e.PanicError)},
		"Refresh panics": {401, func(r *redial.Policy) { r.Refresh = func(context.Context) error { panic("oops") } }, new(*e2e.PanicError)},
		"MaxTries":       {401, func(r *redial.Policy) { r.MaxTries = 2 }, new(*transport.DialError)},
		"MaxTime":        {401, func(r *redial.Policy) { r.MaxTime = time.Minute }, new(*transport.DialError)},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				m := &misanswer{cause: &transport.DialError{Status: test.status}, road: road{srv: newServer(t, hosting(bob, alice), echo)}}
				cfg := trusting(alice, bob)
				test.change(&cfg.Retry)
				c, err := e2e.DialFunc(t.Context(), "road", cfg, m.dial)
				if err != nil {
					t.Fatal(err)
				}
				m.strike(1 << 30)
				_, err = c.Receive(t.Context())
				if !errors.As(err, test.want) || !errors.Is(err, e2e.ErrTruncated) {
					t.Errorf("ended with %v", err)
				}
			})
		})
	}
}

// A connection that is lost is told as that, at both ends, and so is each dial that fails.
// Nothing of it says that the session has ended, nor can be taken for an orderly end.
func TestALostConnectionIsNoEnd(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var mu sync.Mutex
		var told []error
		notify := func(e e2e.Event) {
			mu.Lock()
			defer mu.Unlock()
			if e.State == e2e.StateReconnecting {
				told = append(told, e.Err)
			}
		}
		server, client := hosting(bob, alice), trusting(alice, bob)
		server.Notify, client.Notify = notify, notify
		client.Retry.Refresh = func(context.Context) error { return errors.New("s3cr3t") }
		m := &misanswer{cause: &transport.CloseError{Code: transport.CodeNormal, Remote: true}, road: road{srv: newServer(t, server, echo)}}
		c, err := e2e.DialFunc(t.Context(), "road", client, m.dial)
		if err != nil {
			t.Fatal(err)
		}
		mustSend(t, c, "before")
		mustReceive(t, c, "before")
		m.strike(0)
		mustSend(t, c, "after")
		mustReceive(t, c, "after")
		m.strike(1)
		m.cause = &transport.DialError{Target: "wss://example.com", Problem: "the server answered 401", Status: 401}
		mustSend(t, c, "again")
		mustReceive(t, c, "again")
		c.Close()
		synctest.Wait()
		lost, dial, refresh := 0, 0, 0
		for _, err := range told {
			var how *e2e.DisconnectError
			switch {
			case errors.As(err, &how):
				lost++
			case errors.As(err, new(*transport.DialError)):
				dial++
			case errors.Is(err, redial.ErrRefresh):
				refresh++
			}
			text := err.Error()
			if strings.Contains(text, "ended") || strings.Contains(text, "missing") || strings.Contains(text, "s3cr3t") ||
				errors.Is(err, io.EOF) || errors.Is(err, e2e.ErrTruncated) || errors.As(err, new(*e2e.CloseError)) {
				t.Errorf("told %q, %#v", text, err)
			}
			if how != nil && !errors.Is(err, net.ErrClosed) {
				t.Errorf("%v is no end of a connection", err)
			}
		}
		if lost != 4 || dial != 1 || refresh != 1 {
			t.Errorf("%d connections were lost, %d dials failed, %d refreshes: %v", lost, dial, refresh, told)
		}
		if want := "e2e: connection lost, the session goes on: the peer closed the connection: normal closure (1000)"; fmt.Sprint(told[0]) != want && fmt.Sprint(told[1]) != want {
			t.Errorf("told %v, want %s", told, want)
		}
	})
}
