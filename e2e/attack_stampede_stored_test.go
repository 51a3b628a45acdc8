//go:build !js

package e2e_test

import (
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hopseal/hopseal/e2e"
	"github.com/hopseal/hopseal/e2e/sessionstore"
	"github.com/hopseal/hopseal/internal/slowtest"
)

// Behind one address, all sessions of a server that was restarted go on from its store, also
// where as many others there are not any more.
func TestStampedeOfStoredSessions(t *testing.T) {
	n := 100
	switch {
	case longTests():
		n = 1000
	case slowtest.Mode:
		n = 40
	}
	kept, lost := stored(hosting(bob, alice), sessionstore.Memory()), stored(hosting(bob, alice), sessionstore.Memory())
	kept.MaxSessionsPerIdentity, lost.MaxSessionsPerIdentity = n, n
	before := newServer(t, kept, echo)
	elsewhere := newServer(t, lost, echo)
	var now atomic.Pointer[e2e.Server]
	url := listen(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { now.Load().ServeHTTP(w, r) }))
	open := func() (all []*e2e.Session) {
		for range n {
			c := mustDial(t, url)
			mustSend(t, c, "0")
			mustReceive(t, c, "0")
			all = append(all, c)
		}
		return all
	}
	now.Store(before)
	live := open()
	now.Store(elsewhere)
	dead := open()

	after := newServer(t, kept, echo)
	now.Store(after)
	began := time.Now()
	stop(t, before)
	stop(t, elsewhere)
	var back sync.WaitGroup
	for _, s := range dead {
		back.Go(func() { s.Receive(t.Context()) }) // until it is told
	}
	for i, s := range live {
		back.Go(func() {
			mustSend(t, s, fmt.Sprint(i))
			mustReceive(t, s, fmt.Sprint(i))
		})
	}
	back.Wait()
	stats := after.Stats()
	t.Logf("%d are back and %d know that they are not after %v: %v", n, n, time.Since(began), nonzero(stats.Greeted))
	if stats.Sessions != n {
		t.Errorf("%d sessions are back, want %d", stats.Sessions, n)
	}
	for _, s := range live { // while there is somebody who answers
		back.Go(func() { s.Close() })
	}
	back.Wait()
}
