package transport

import "time"

// A LinkState is what a [Redialer] is doing.
type LinkState int

const (
	LinkConnecting LinkState = iota + 1 // it dials
	LinkConnected                       // it has returned a connection
	LinkWaiting                         // it waits before it dials again, or for a network
	LinkGaveUp                          // it has returned an error
)

// String returns the state in words.
func (s LinkState) String() string {
	switch s {
	case LinkConnecting:
		return "connecting"
	case LinkConnected:
		return "connected"
	case LinkWaiting:
		return "waiting"
	case LinkGaveUp:
		return "gave up"
	}
	return "unknown"
}

// A LinkEvent tells a state that has begun.
type LinkEvent struct {
	State LinkState
	Try   int // dials since the last stable connection, this one included

	Until   time.Time // while waiting: when the next try is due
	Offline bool      // while waiting: the browser is offline, and the next try waits for its network too
	Why     error     // why it waits, or a *GaveUpError; nil otherwise and while the first dial waits for a network

	Missed int // events before this one that were left out, because Notify was slow
}
