package e2e

import (
	"context"
	"runtime/debug"
	"sync"

	"github.com/hopseal/hopseal/e2e/internal/outcome"
	"github.com/hopseal/hopseal/internal/notify"
	"github.com/hopseal/hopseal/internal/slog"
	"github.com/hopseal/hopseal/transport"
)

// An Event says that a session has entered a state. A client goes through all states. With each
// new connection it goes from StateReconnecting through StateHandshaking to StateSecure again.
// A server tells of a session from StateSecure on. It only counts what strangers do, see
// [Server.Stats].
type Event struct {
	State   State
	Session *Session // nil while there is none yet
	// Err is nil unless State is StateReconnecting or StateClosed. With StateReconnecting it is
	// a [*DisconnectError] if a connection was lost, or the error of an attempt to get another.
	// With StateClosed it says what ended the session, or why none began.
	Err error

	// Transport is the connection of a StateHandshaking or StateSecure: what is known about its
	// next hop. Only that hop vouches for it. From StateSecure on [Session.Peer] says whom the
	// session is with.
	Transport transport.Info

	Missed int // events before this one that were left out, because Notify was slow
}

// events tells of a session, in order and without waiting: first the Logger, then Notify.
type events struct {
	notified bool // there is a Notify
	log      *slog.Logger
	all      notify.Notifier[Event]

	mu     sync.Mutex // guards what follows
	closed bool       // a StateClosed was told: no event follows it, however late it comes
}

func newEvents(log *slog.Logger, tell func(Event)) *events {
	n := &events{notified: tell != nil, log: log}
	n.all.Note = func(e *Event, missed int) { e.Missed = missed }
	n.all.Call = func(e Event) {
		defer n.contain()
		logEvent(n.log, e)
		if tell != nil {
			tell(e)
		}
	}
	return n
}

// tell never waits. If the callback is slow, the oldest events are left out.
func (n *events) tell(e Event) {
	if !n.notified && !n.log.Enabled(context.Background(), slog.LevelError) { // nobody listens
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
