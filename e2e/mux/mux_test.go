package mux_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/hopseal/hopseal/e2e"
	"github.com/hopseal/hopseal/e2e/mux"
)

// A Mux refuses what it has no function for, and what its functions or Authorize do not
// take; nothing of their errors is told, but of those made for that.
func TestMuxRefuses(t *testing.T) {
	const secret = "the secret cause"
	told, heard := refusals()
	c, s := connect(t, func(c *e2e.Config, _ *e2e.ServerConfig) { c.Refused = told })
	var mu sync.Mutex
	var errs []string
	router := mux.New()
	router.OnError = func(r *e2e.Request, err error) {
		mu.Lock()
		defer mu.Unlock()
		line, _, _ := strings.Cut(err.Error(), "\n")
		errs = append(errs, r.Type+": "+line)
	}
	router.Authorize = func(ctx context.Context, peer e2e.Peer, m e2e.Message) error {
		if peer.Fingerprint() != alice.Fingerprint() || m.Type == "unknown" {
			t.Errorf("%v about %q", peer, m.Type)
		}
		if m.Type == "forbidden" {
			return errors.New(secret)
		}
		return nil
	}
	router.Handle("forbidden", func(context.Context, *e2e.Request) ([]byte, error) {
		t.Error("an unauthorized message was served")
		return nil, nil
	})
	router.Handle("fails", func(context.Context, *e2e.Request) ([]byte, error) { return nil, errors.New(secret) })
	router.Handle("panics", func(context.Context, *e2e.Request) ([]byte, error) { panic(secret) })
	router.Handle("too large", func(context.Context, *e2e.Request) ([]byte, error) {
		return make([]byte, 1<<20+1), nil
	})
	router.Handle("told", func(context.Context, *e2e.Request) ([]byte, error) {
		return nil, fmt.Errorf("%s: %w", secret, &e2e.ReplyError{Code: 409, Text: "sold out\x1b[2J"})
	})
	serving(t, s, router)
	for typ, why := range map[string]e2e.Refusal{
		"unknown": e2e.RefusedType, "": e2e.RefusedType, "forbidden": e2e.RefusedUnauthorized,
		"fails": e2e.RefusedFailed, "panics": e2e.RefusedFailed, "too large": e2e.RefusedFailed,
	} {
		_, err := c.Call(t.Context(), typ, nil)
		wantRefused(t, err, 0, why)
		if strings.Contains(err.Error(), secret) {
			t.Errorf("%q tells %q", typ, err)
		}
		if typ == "too large" {
			continue
		}
		id := send(t, c, typ)
		wantRefused(t, <-heard, id, why)
	}
	_, err := c.Call(t.Context(), "told", nil)
	var reply *e2e.ReplyError
	if !errors.As(err, &reply) || reply.Code != 409 || reply.Text != "sold out\x1b[2J" || strings.ContainsAny(err.Error(), "\x1b") {
		t.Errorf("%v", err)
	}
	wantRefused(t, func() error { send(t, c, "told"); return <-heard }(), 0, e2e.RefusedFailed)
	mu.Lock()
	defer mu.Unlock()
	if slices.Sort(errs); len(errs) != 7 || !strings.HasPrefix(errs[0], "fails: "+secret) {
		t.Errorf("OnError: %q", errs)
	}
}

func TestHandleRefusesMistakes(t *testing.T) {
	for name, wrong := range map[string]func(m *mux.Mux){
		"twice":    func(m *mux.Mux) { m.Handle("a", upper); m.Handle("a", upper) },
		"nil":      func(m *mux.Mux) { m.Handle("a", nil) },
		"bad type": func(m *mux.Mux) { m.Handle("\xff", upper) },
	} {
		wantPanic(t, name, func() { wrong(mux.New()) })
	}
}

func wantPanic(t testing.TB, name string, f func()) {
	t.Helper()
	defer func() {
		if recover() == nil {
			t.Errorf("%s: taken", name)
		}
	}()
	f()
}

// What a client's credentials say reaches Authorize and the functions.
func TestClaimsReachFunctions(t *testing.T) {
	for _, role := range []string{"clerk", "guest"} {
		c, s := connect(t, func(c *e2e.Config, s *e2e.ServerConfig) {
			c.Credentials = func(context.Context) ([]byte, error) { return []byte(role), nil }
			s.Authenticate = func(_ context.Context, _ e2e.Peer, credentials []byte) (e2e.Grant, error) {
				return e2e.Grant{Claims: string(credentials)}, nil
			}
		})
		router := mux.New()
		router.Authorize = func(_ context.Context, peer e2e.Peer, _ e2e.Message) error {
			if peer.Claims != "clerk" {
				return errors.New("clerks only")
			}
			return nil
		}
		router.Handle("role", func(_ context.Context, r *e2e.Request) ([]byte, error) {
			return []byte(r.Session.Peer().Claims.(string)), nil
		})
		serving(t, s, router)
		if role == "clerk" {
			mustCall(t, c, "role", "", "clerk")
			continue
		}
		_, err := c.Call(t.Context(), "role", nil)
		wantRefused(t, err, 1, e2e.RefusedUnauthorized)
	}
}
