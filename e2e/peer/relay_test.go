//go:build !js

package peer_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	"github.com/hopseal/hopseal/internal/chromium"
	"github.com/hopseal/hopseal/keys/trust"
	"github.com/hopseal/hopseal/transport"
	"github.com/hopseal/hopseal/transport/relay"
)

// A restarter serves a relay, and in the place of it another one.
type restarter struct {
	t  testing.TB
	mu sync.Mutex
	at *relay.Hub
}

func newRestarter(t testing.TB) *restarter {
	r := &restarter{t: t}
	r.restart()
	t.Cleanup(func() { r.at.Shutdown(context.Background()) })
	return r
}

func (r *restarter) restart() {
	r.mu.Lock()
	old := r.at
	r.at = relay.New(relay.Options{Accept: &transport.AcceptOptions{Sealed: true}})
	r.mu.Unlock()
	if old != nil {
		over, cancel := context.WithCancel(context.Background())
		cancel() // cut what is open
		old.Shutdown(over)
	}
}

func (r *restarter) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	if req.URL.Path == "/restart" {
		r.restart()
		return
	}
	r.mu.Lock()
	hub := r.at
	r.mu.Unlock()
	hub.ServeHTTP(w, req)
}

// Two programs that dial each other through a relay, which is started again meanwhile.
func TestConversationThroughARelay(t *testing.T) {
	r := newRestarter(t)
	web := httptest.NewServer(r)
	defer web.Close()
	var both sync.WaitGroup
	both.Go(func() { converse(t, web.URL, low, high.Name(), trust.Pinned(high.Fingerprint()), r.restart) })
	both.Go(func() { converse(t, web.URL, high, low.Name(), trust.Pinned(low.Fingerprint()), func() {}) })
	both.Wait()
}

// The same between two pages of a browser.
func TestInChromium(t *testing.T) {
	chromium.RunGoTest(t, ".", &chromium.GoTest{
		Handler: newRestarter(t),
		Flags:   []string{"-test.run=InAPage"},
		Env:     map[string]string{"PEER_ME": "page one", "PEER_OTHER": "page two"},
		Others:  []map[string]string{{"PEER_ME": "page two", "PEER_OTHER": "page one"}},
		Errors:  []string{"WebSocket connection to", "already in CLOSING"},
	})
}
