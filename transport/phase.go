package transport

// A Phase is a step of a dial. The first two are about the next hop, which is the
// proxy if there is one.
type Phase int

const (
	PhaseResolve Phase = iota + 1 // the name of the next hop becomes addresses (DNS)
	PhaseConnect                  // one of them is reached (TCP)
	PhaseProxy                    // the proxy connects to the target
	PhaseTLS                      // the target proves its name
	PhaseUpgrade                  // the target opens a WebSocket
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
