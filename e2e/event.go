package e2e

import (
	"context"
	"log/slog"
	"runtime/debug"
	"slices"
	"sync"

	"github.com/hopseal/hopseal/transport"
)

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

// An Event tells a state that has begun. A client goes through all of them, and with each
// new connection from StateReconnecting through StateHandshaking to StateSecure again. A
// server tells of a session from StateSecure on: what strangers do is counted, see
// [Server.Stats].
type Event struct {
	State   State
	Session *Session // nil while there is none yet
	// Err is, for a StateReconnecting, a [*DisconnectError] if a connection was lost, and else
	// what an attempt to get another one failed with; for a StateClosed what ended the session,
	// or why none began. Nil otherwise.
	Err error

	// Transport is the connection of a StateHandshaking or StateSecure: what is known
	// about its next hop. It is nobody's word but this hop's; whom the session is with
	// says [Session.Peer], from StateSecure on.
	Transport transport.Info

	Missed int // events before this one that were left out, because Notify was slow
}

func newEvents(cfg config) *events { return &events{call: cfg.Notify, log: cfg.Logger} }

// maxEvents is how many events wait for a slow callback.
const maxEvents = 16

// events hands events on to a callback, in order. Its goroutine lives while there are
// some, so the callback may call whatever it likes.
type events struct {
	call func(Event) // nil if nobody listens
	log  *slog.Logger

	mu     sync.Mutex // guards what follows
	queue  []Event
	missed int  // events left out before queue[0]
	active bool // there is a goroutine
	closed bool // a StateClosed was told: whatever is late, nothing follows that
}

// tell never waits. If the callback is slow, the oldest events are left out.
func (n *events) tell(e Event) {
	if n.call == nil && !n.log.Enabled(context.Background(), slog.LevelError) { // nobody wants anything
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.closed {
		return
	}
	n.closed = e.State == StateClosed
	n.queue = append(n.queue, e)
	if len(n.queue) > maxEvents {
		n.queue = slices.Delete(n.queue, 0, 1)
		n.missed++
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
	e.Missed = n.missed
	n.queue, n.missed = slices.Delete(n.queue, 0, 1), 0
	return e, true
}

// deliver survives a callback that panics.
func (n *events) deliver(e Event) {
	defer func() {
		if v := recover(); v != nil {
			n.panicked(&PanicError{Value: v, Stack: debug.Stack()})
		}
	}()
	logEvent(n.log, e)
	if n.call != nil {
		n.call(e)
	}
}

func (n *events) panicked(p *PanicError) {
	n.log.LogAttrs(context.Background(), slog.LevelError, "Notify panicked", attrsOfError(outcomePanic, p)...)
}
