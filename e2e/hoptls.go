package e2e

import "github.com/hopseal/hopseal/internal/engine"

// A HopTLS is what the two ends have found out about the TLS below a session. Inside the encryption they
// compare a value that only the two ends of one TLS connection know, so no hop can forge the result.
// Nothing has to be decided by it: whoever terminates TLS sees what a session shows to every hop, and
// nothing else.
type HopTLS byte

// What the ends may find out.
const (
	// HopUnknown: at least one end cannot see a TLS connection. It is in a browser, or there is
	// no TLS, or TLS ends at something in front of the server.
	HopUnknown = HopTLS(engine.HopUnknown)

	// HopUnbroken: one TLS connection reaches from end to end.
	HopUnbroken = HopTLS(engine.HopUnbroken)

	// HopReterminated: each end has its own TLS connection to something between them: a load
	// balancer, a CDN, an inspecting proxy.
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
