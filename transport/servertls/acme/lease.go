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
)

// Of the nodes that share a cache one orders for a name at a time: its lease is an entry
// in the cache that it writes anew every few seconds. To the others the lease counts for
// as long as it changes, by their own clocks' measure of time, so that it does not
// matter what the clocks show.
//
// A cache cannot compare and swap, so two nodes may write at the same moment. Whoever
// writes last has it: each reads again after a pause that is longer than a write
// takes. A cache that is slower than that may let two nodes order at once, which costs
// an order, and no more: both are served whatever comes first.
const (
	leasePause  = time.Second            // between looks at another's
	leaseSettle = 300 * time.Millisecond // between writing one's own and reading it
	leaseBeat   = 4 * time.Second        // between writes of one's own
	leaseLife   = 15 * time.Second       // without a change it is nobody's
)

// A lease is what stands in the cache.
type lease struct {
	Owner string `json:"owner"` // a random name of this process and order
	Beat  int    `json:"beat"`  // a number that changes
}

func leaseName(host string) string { return host + "+lease" }

func (l lease) encode() []byte {
	text, _ := json.Marshal(l) // a string and a number
	return text
}

func parseLease(text []byte) (l lease) {
	if json.Unmarshal(text, &l) != nil {
		return lease{} // nobody's
	}
	return l
}

var errElsewhere = errors.New("another node is ordering it: its lease is in the cache")

// acquire waits until this node may order for the name. It returns the certificate
// instead once look finds it.
func (m *Manager) acquire(ctx context.Context, host string, look func(context.Context) (*tls.Certificate, error)) (release func(), cert *tls.Certificate, err error) {
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
			release, err = m.take(ctx, host, mine)
			if release != nil || err != nil {
				return release, nil, err
			}
			continue
		}
		if !sleep(ctx, leasePause) {
			return nil, nil, errElsewhere
		}
		if cert, err := look(ctx); cert != nil || err != nil {
			return nil, cert, err
		}
	}
}

// take writes the lease. It returns nil where another node did that too, and later.
func (m *Manager) take(ctx context.Context, host string, mine lease) (release func(), err error) {
	if err := m.store.put(ctx, leaseName(host), mine.encode()); err != nil {
		return nil, fmt.Errorf("%w, and %w", err, errUnsaved)
	}
	if !sleep(ctx, leaseSettle) {
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
		for sleep(beating, leaseBeat) {
			mine.Beat++
			m.store.put(ctx, leaseName(host), mine.encode())
		}
	}()
	return func() {
		stop()
		<-done
		inTheEnd(ctx, func(ctx context.Context) {
			if text, err := m.store.get(ctx, leaseName(host)); err == nil && parseLease(text).Owner == mine.Owner {
				m.store.remove(ctx, leaseName(host))
			}
		})
	}, nil
}

// sleep reports whether ctx lasted.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
