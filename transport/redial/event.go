package redial

import "time"

// A State is what a [Redialer] is doing.
type State int

const (
	Connecting State = iota + 1 // it dials
	Connected                   // it has returned a connection
	Waiting                     // it waits before it dials again, or for a network
	GaveUp                      // it has returned an error
)

// String returns the state in words.
func (s State) String() string {
	switch s {
	case Connecting:
		return "connecting"
	case Connected:
		return "connected"
	case Waiting:
		return "waiting"
	case GaveUp:
		return "gave up"
	}
	return "unknown"
}

// A Event tells a state that has begun.
type Event struct {
	State State
	Try   int // dials since the last stable connection, this one included

	Until   time.Time // while waiting: when the next try is due
	Offline bool      // while waiting: the browser is offline, and the next try waits for its network too
	Why     error     // why it waits, or a *GaveUpError; nil otherwise and while the first dial waits for a network

	Missed int // events before this one that were left out, because Notify was slow
}
