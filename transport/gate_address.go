//go:build !js

package transport

import (
	"net"
	"time"

	"github.com/hopseal/hopseal/internal/netblock"
)

// blockOf returns what the owner of an address, with or without a port, holds; ""
// for what is none.
func blockOf(client string) string {
	if block := netblock.Of(client); block != "" {
		return block
	}
	return netblock.Of(net.JoinHostPort(client, "0"))
}

// maxStrangers is how many addresses without a connection a Gate remembers, for
// their rates.
const maxStrangers = 1 << 14

// addresses is what a Gate knows of the address blocks that clients come from.
type addresses map[string]address

type address struct {
	conns int
	rate  bucket
}

// enter counts a connection in, or says how long its address has to wait. There
// are held connections already.
func (t addresses) enter(block string, now time.Duration, r Rate, held int) (wait time.Duration) {
	a, known := t[block]
	if r.limits() {
		if wait := a.rate.debt(now, 1, r); wait > 0 {
			return wait
		}
		a.rate.take(now, 1, r)
	}
	if !known {
		t.makeRoom(held)
	}
	a.conns++
	t[block] = a
	return 0
}

// leave counts a connection out. Its address stays while its rate has to be known.
func (t addresses) leave(block string, now time.Duration) {
	a := t[block]
	a.conns--
	if a.conns == 0 && a.rate.full(now) {
		delete(t, block)
		return
	}
	t[block] = a
}

// makeRoom forgets some address without a connection where there are too many of
// them. Whoever has so many gains nothing by making the gate forget one; and
// nobody is refused for want of room here.
func (t addresses) makeRoom(held int) {
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
