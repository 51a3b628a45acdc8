package transport

// A Phase is a step of a dial. The first two concern the next hop, which is the proxy if there is
// one.
type Phase int

const (
	PhaseResolve Phase = iota + 1 // looks up the addresses of the next hop (DNS)
	PhaseConnect                  // connects to one of them (TCP)
	PhaseProxy                    // lets the proxy connect to the target
	PhaseTLS                      // verifies the target's name
	PhaseUpgrade                  // opens the WebSocket
)

// String returns the phase in a word.
func (p Phase) String() string {
	switch p {
	case PhaseResolve:
		return "DNS"
	case PhaseConnect:
		return "TCP"
	case PhaseProxy:
		return "proxy"
	case PhaseTLS:
		return "TLS"
	case PhaseUpgrade:
		return "upgrade"
	}
	return "none"
}
