package fault

import (
	"errors"
	"strings"

	"github.com/hopseal/hopseal/internal/netless"
)

// A DisconnectError says how a session lost a connection. The session goes on: a client dials
// again, a server waits, and the ends send again what had not arrived. It matches
// [net.ErrClosed], and never [io.EOF], which a hop can forge.
type DisconnectError struct {
	Err error // what ended the connection: the transport's error, or one such as ErrTampered or ErrSilent
}

// Error returns one line.
func (e *DisconnectError) Error() string {
	return "e2e: connection lost, the session goes on: " + strings.TrimPrefix(e.Err.Error(), "transport: ")
}

// Unwrap returns net.ErrClosed and the cause.
func (e *DisconnectError) Unwrap() []error { return []error{netless.ErrClosed, e.Err} }

// Disconnected returns the error of a lost connection for a session that goes on. why is what
// would end a session that has only one connection.
func Disconnected(why *CloseError) *DisconnectError {
	if t, ok := why.Err.(truncated); ok {
		return &DisconnectError{hearsay(t)}
	}
	return &DisconnectError{why.Err}
}

// hearsay is what a transport says about the end of a connection. People can read it, but
// errors.Is finds nothing in it.
type hearsay struct{ cause error }

func (h hearsay) Error() string      { return h.cause.Error() }
func (h hearsay) As(target any) bool { return errors.As(h.cause, target) }
