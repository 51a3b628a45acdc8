package e2e

import "github.com/hopseal/hopseal/internal/engine"

// A HopTLS is what both ends together have found out about the TLS below a session,
// by comparing, inside the encryption, a value that only the two ends of one TLS
// connection know. Nothing on the way can forge the answer. It is no matter of trust:
// whoever terminates TLS sees what a session shows to every hop, and nothing else.
type HopTLS byte

// What there is to find out.
const (
	// HopUnknown: one of the ends, or both, cannot see a TLS connection: it is a
	// browser, or there is none, or it ends at something in front of the server.
	HopUnknown = HopTLS(engine.HopUnknown)

	// HopUnbroken: one TLS connection reaches from end to end.
	HopUnbroken = HopTLS(engine.HopUnbroken)

	// HopReterminated: each end has a TLS connection of its own to something in
	// between: a load balancer, a CDN, an inspecting proxy.
	HopReterminated = HopTLS(engine.HopReterminated)
)

// String returns "unknown", "unbroken" or "re-terminated".
func (h HopTLS) String() string {
	switch h {
	case HopUnbroken:
		return "unbroken"
	case HopReterminated:
		return "re-terminated"
	}
	return "unknown"
}
