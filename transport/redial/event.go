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

// An Event reports that a state has begun.
type Event struct {
	State State
	Try   int // dials since the last stable connection, this one included

	Until   time.Time // while waiting: when the next try is due
	Offline bool      // while waiting: the browser is offline, and the next try waits for its network too
	Why     error     // why it waits, or a *GaveUpError; nil otherwise and while the first dial waits for a network

	Missed int // how many earlier events were dropped because Notify was slow
}
