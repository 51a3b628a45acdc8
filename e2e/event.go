package e2e

import (
	"log"
	"runtime/debug"
	"slices"
	"sync"
)

// A State is what a session is doing.
type State int

// States.
const (
	StateConnecting   State = iota + 1 // a client dials, for the first time
	StateSecure                        // messages go both ways
	StateReconnecting                  // the connection is lost: a client dials again, a server waits
	StateClosed                        // the session is over
)

// String returns the state in one word.
func (s State) String() string {
	switch s {
	case StateConnecting:
		return "connecting"
	case StateSecure:
		return "secure"
	case StateReconnecting:
		return "reconnecting"
	case StateClosed:
		return "closed"
	}
	return "unknown"
}

// An Event tells a state that has begun.
type Event struct {
	State   State
	Session *Session // nil while there is none yet
	Err     error    // what ended the connection, or the session
}

// maxEvents is how many events wait for a slow callback.
const maxEvents = 16

// events hands events on to a callback, in order. Its goroutine lives while there are
// some, so the callback may call whatever it likes.
type events struct {
	call func(Event) // nil if nobody listens

	mu     sync.Mutex // guards what follows
	queue  []Event
	active bool // there is a goroutine
}

// tell never waits. If the callback is slow, the oldest events are left out.
func (n *events) tell(e Event) {
	if n.call == nil {
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.queue = append(n.queue, e)
	if len(n.queue) > maxEvents {
		n.queue = slices.Delete(n.queue, 0, 1)
	}
	if !n.active {
		n.active = true
		go n.run()
	}
}

func (n *events) run() {
	for e, ok := n.next(); ok; e, ok = n.next() {
		n.deliver(e)
	}
}

func (n *events) next() (e Event, ok bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if len(n.queue) == 0 {
		n.active = false
		return e, false
	}
	e = n.queue[0]
	n.queue = slices.Delete(n.queue, 0, 1)
	return e, true
}

// deliver survives a callback that panics.
func (n *events) deliver(e Event) {
	defer func() {
		if v := recover(); v != nil {
			log.Print((&PanicError{v, debug.Stack()}).Error())
		}
	}()
	n.call(e)
}
