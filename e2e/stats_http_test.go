//go:build !js

package e2e_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/hopseal/hopseal/e2e"
)

// What comes over HTTP is counted and logged once.
func TestStatsOverHTTP(t *testing.T) {
	var log notebook
	cfg := hosting(bob, alice)
	cfg.Logger, cfg.MaxSessions = log.logger(), 1
	closed := make(chan struct{})
	cfg.Notify = func(e e2e.Event) { // behind the line about it
		if e.State == e2e.StateClosed {
			close(closed)
		}
	}
	srv := newServer(t, cfg, func(ctx context.Context, s *e2e.Session) error {
		if _, err := s.Receive(ctx); err != nil {
			return err
		}
		return errors.New("no such table")
	})
	url := listen(t, srv)
	get := func() int {
		resp, err := http.Get("http" + strings.TrimPrefix(url, "ws"))
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		return resp.StatusCode
	}
	if status := get(); status != http.StatusUpgradeRequired {
		t.Errorf("status %d", status)
	}
	c := mustDial(t, url)
	if status := get(); status != http.StatusServiceUnavailable {
		t.Errorf("status %d", status)
	}
	mustSend(t, c, "fail")
	wantEnd(t, c, e2e.CloseError{Remote: true, Code: e2e.CodeFailed}, false)
	if err := srv.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	<-closed
	got := srv.Stats()
	if nonzero(got.Greeted) != "map[established:1 full:1 upgrade:1]" || nonzero(got.Ended) != "map[failed:1]" || got.MessagesReceived != 1 {
		t.Errorf("%+v", got)
	}
	text := log.text()
	for _, once := range []string{`msg="the function of a session failed"`, "reason=upgrade", "reason=full", `msg="session closed"`, "remote=127.0.0.1"} {
		if n := strings.Count(text, once); n != 1 && once != "remote=127.0.0.1" || n == 0 {
			t.Errorf("%s is logged %d times:\n%s", once, n, text)
		}
	}
}
