package e2e

// A State is what a session is doing.
type State int

// States.
const (
	StateConnecting   State = iota + 1 // a client dials, for the first time
	StateHandshaking                   // a client has a connection, on which the ends prove who they are
	StateSecure                        // messages go both ways
	StateReconnecting                  // the connection is lost: a client dials again, a server waits
	StateClosed                        // the session is over
)

// String returns the state in one word.
func (s State) String() string {
	switch s {
	case StateConnecting:
		return "connecting"
	case StateHandshaking:
		return "handshaking"
	case StateSecure:
		return "secure"
	case StateReconnecting:
		return "reconnecting"
	case StateClosed:
		return "closed"
	}
	return "unknown"
}
