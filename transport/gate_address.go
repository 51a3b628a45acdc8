//go:build !js

package transport

import (
	"net"
	"time"

	"github.com/hopseal/hopseal/internal/netblock"
)

// blockOf returns the block of addresses that the owner of client's address holds, or "" if client
// is no address. A port is ignored.
func blockOf(client string) string {
	if block := netblock.Of(client); block != "" {
		return block
	}
	return netblock.Of(net.JoinHostPort(client, "0"))
}

// maxStrangers bounds the addresses without a connection that a Gate remembers for their rates.
const maxStrangers = 1 << 14

// addresses holds what a Gate knows of the address blocks of its clients.
type addresses map[string]address

type address struct {
	conns int
	rate  bucket
}

// enter counts a connection in, or returns how long its address has to wait. held is the number of
// connections that there are.
func (t addresses) enter(block string, now time.Duration, r Rate, held int) (wait time.Duration) {
	a, known := t[block]
	if r.limits() {
		if wait := a.rate.debt(now, 1, r); wait > 0 {
			return wait
		}
		a.rate.take(now, 1, r)
	}
	if !known {
		t.evict(held)
	}
	a.conns++
	t[block] = a
	return 0
}

// leave counts a connection out. It keeps the address while its bucket is not full.
func (t addresses) leave(block string, now time.Duration) {
	a := t[block]
	a.conns--
	if a.conns == 0 && a.rate.full(now) {
		delete(t, block)
		return
	}
	t[block] = a
}

// evict forgets one address without a connection if there are too many. An attacker with so many
// addresses gains nothing from that, and nobody is refused because the table is full.
func (t addresses) evict(held int) {
	if len(t) < held+maxStrangers {
		return
	}
	for block, a := range t { // in random order
		if a.conns == 0 {
			delete(t, block)
			return
		}
	}
}
