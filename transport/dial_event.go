//go:build !js

package transport

import (
	"net/netip"
	"time"
)

// A DialEvent tells that a phase of a dial is over. It holds no credentials and may
// be logged.
type DialEvent struct {
	Phase  Phase
	Target string // scheme and host that are dialled
	Proxy  string // scheme and host of the proxy on the way, if there is one
	Took   time.Duration

	Addresses     []netip.Addr // of PhaseResolve
	Local, Remote string       // of PhaseConnect: our address and the next hop's
	TLS           *TLSInfo     // of PhaseTLS, and of PhaseProxy for a proxy that speaks TLS
	Subprotocol   string       // of PhaseUpgrade

	Err    *DialError // why the phase failed, and the dial with it; else nil
	Missed int        // events before this one that were left out, because Notify was slow
}
