package e2e

import (
	"context"
	"log/slog"
	"runtime/debug"
	"sync"

	"github.com/hopseal/hopseal/e2e/internal/outcome"
	"github.com/hopseal/hopseal/internal/notify"
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

// events tells of a session, in order and without waiting: the Logger first, and then Notify.
type events struct {
	notified bool // by Notify
	log      *slog.Logger
	all      notify.Notifier[Event]

	mu     sync.Mutex // guards what follows
	closed bool       // a StateClosed was told: whatever is late, nothing follows that
}

func newEvents(cfg config) *events {
	n := &events{notified: cfg.Notify != nil, log: cfg.Logger}
	n.all.Note = func(e *Event, missed int) { e.Missed = missed }
	n.all.Call = func(e Event) {
		defer n.contain()
		logEvent(n.log, e)
		if cfg.Notify != nil {
			cfg.Notify(e)
		}
	}
	return n
}

// tell never waits. If the callback is slow, the oldest events are left out.
func (n *events) tell(e Event) {
	if !n.notified && !n.log.Enabled(context.Background(), slog.LevelError) { // nobody wants anything
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if !n.closed {
		n.closed = e.State == StateClosed
		n.all.Emit(e)
	}
}

// contain logs that Notify has panicked.
func (n *events) contain() {
	if v := recover(); v != nil {
		why := &PanicError{Value: v, Stack: debug.Stack()}
		n.log.LogAttrs(context.Background(), slog.LevelError, "Notify panicked", outcome.Attrs(outcome.Panic, why)...)
	}
}
