//go:build !js

package stepclock_test

import (
	"testing"
	"time"

	"github.com/hopseal/hopseal/internal/stepclock"
	"github.com/hopseal/hopseal/keys"
	"github.com/hopseal/hopseal/keys/trust"
)

// A session whose ends look at each other's statements goes on after the clock was set wrong for
// ten minutes, in which its client came back, both identities were renewed, and everybody was asked
// again.
func TestSetStatements(t *testing.T) {
	whatever(t, func(t *testing.T, set func()) time.Duration {
		p := newPair(t)
		p.client.Verifier = trust.Pinned(p.server.Identity.Fingerprint())
		p.server.Verifier = trust.Pinned(p.client.Identity.Fingerprint())
		p.server.ParkTimeout = time.Hour
		p.renew()
		p.begin()
		start := time.Now()
		set()
		p.srv.Recheck(t.Context())
		p.session.Recheck(t.Context())
		p.cut(false)
		time.Sleep(5 * time.Minute)
		p.renew()
		time.Sleep(5 * time.Minute)
		stepclock.Set(0)
		p.renew()
		p.cut(false)
		time.Sleep(10 * time.Minute)
		p.talk()
		return time.Since(start)
	})
}

// renew makes later statements, by the clock as it is.
func (p *pair) renew() {
	p.t.Helper()
	time.Sleep(time.Second)
	for _, id := range []*keys.Identity{p.client.Identity, p.server.Identity} {
		if err := id.Renew(); err != nil {
			p.t.Fatal(err)
		}
	}
}
