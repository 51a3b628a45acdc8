//go:build !js

package acme

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/hopseal/hopseal/internal/sleep"
)

// At most one of the nodes that share a cache orders a certificate for a name. Before it
// orders, a node writes a lease into the cache, and then rewrites it every few seconds. The
// other nodes honour the lease while it changes. They measure by their own clocks how long
// it stays the same, so clocks need not agree.
//
// A cache has no compare-and-swap, so two nodes may write a lease at the same moment. The
// last writer has it: each node reads the lease again after a pause that is longer than a
// write takes. If the cache is slower than that, both nodes may order. That costs one order
// and nothing else: both nodes serve whichever certificate comes first.
const (
	leasePause   = time.Second            // between two looks at another node's lease
	leaseConfirm = 300 * time.Millisecond // between writing a lease and reading it back
	leaseBeat    = 4 * time.Second        // between two writes of one's own lease
	leaseLife    = 15 * time.Second       // a lease that has not changed for so long has lapsed
)

// A lease is an entry in the cache.
type lease struct {
	Owner string `json:"owner"` // random, for this process and order
	Beat  int    `json:"beat"`  // changes with each write
}

func leaseName(host string) string { return host + "+lease" }

func (l lease) encode() []byte {
	text, _ := json.Marshal(l) // cannot fail: a string and a number
	return text
}

func parseLease(text []byte) (l lease) {
	if json.Unmarshal(text, &l) != nil {
		return lease{} // nobody's
	}
	return l
}

var errElsewhere = errors.New("another node is ordering it: its lease is in the cache")

// acquireLease waits until this node may order for the name. It returns the certificate
// instead as soon as look finds one.
func (m *Manager) acquireLease(ctx context.Context, host string, look func(context.Context) (*tls.Certificate, error)) (release func(), cert *tls.Certificate, err error) {
	mine := lease{Owner: rand.Text()}
	var seen lease
	var since time.Time
	for {
		text, err := m.store.get(ctx, leaseName(host))
		if err != nil {
			return nil, nil, err
		}
		if l := parseLease(text); l != seen {
			seen, since = l, time.Now()
		}
		if seen.Owner == "" || time.Since(since) >= leaseLife {
			release, err = m.takeLease(ctx, host, mine)
			if release != nil || err != nil {
				return release, nil, err
			}
			continue
		}
		if sleep.For(ctx, leasePause) != nil {
			return nil, nil, errElsewhere
		}
		if cert, err := look(ctx); cert != nil || err != nil {
			return nil, cert, err
		}
	}
}

// takeLease writes the lease and renews it until release is called. It returns nil if
// another node wrote its lease later.
func (m *Manager) takeLease(ctx context.Context, host string, mine lease) (release func(), err error) {
	if err := m.store.put(ctx, leaseName(host), mine.encode()); err != nil {
		return nil, fmt.Errorf("%w, and %w", err, errUnsaved)
	}
	if sleep.For(ctx, leaseConfirm) != nil {
		return nil, context.Cause(ctx)
	}
	text, err := m.store.get(ctx, leaseName(host))
	if err != nil || parseLease(text) != mine {
		return nil, err
	}
	beating, stop := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for sleep.For(beating, leaseBeat) == nil {
			mine.Beat++
			m.store.put(ctx, leaseName(host), mine.encode())
		}
	}()
	return func() {
		stop()
		<-done
		cleanUp(ctx, func(ctx context.Context) {
			if text, err := m.store.get(ctx, leaseName(host)); err == nil && parseLease(text).Owner == mine.Owner {
				m.store.remove(ctx, leaseName(host))
			}
		})
	}, nil
}
