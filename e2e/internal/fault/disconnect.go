package fault

import (
	"errors"
	"net"
	"strings"
)

// A DisconnectError says how a session lost a connection. That is not the end of the
// session: a client dials again, a server waits, and what had not arrived is sent again.
// It matches [net.ErrClosed], and never [io.EOF], which a hop can forge.
type DisconnectError struct {
	Err error // what ended the connection: of the transport, or one such as ErrTampered or ErrSilent
}

// Error returns one line.
func (e *DisconnectError) Error() string {
	return "e2e: connection lost, the session goes on: " + strings.TrimPrefix(e.Err.Error(), "transport: ")
}

// Unwrap returns net.ErrClosed and the cause.
func (e *DisconnectError) Unwrap() []error { return []error{net.ErrClosed, e.Err} }

// Disconnected returns what would end a session with one connection as what it is where
// the session goes on.
func Disconnected(why *CloseError) *DisconnectError {
	if t, ok := why.Err.(truncated); ok {
		return &DisconnectError{hearsay(t)}
	}
	return &DisconnectError{why.Err}
}

// hearsay is what a transport says about the end of a connection: to be read, and not to be
// taken for more by errors.Is.
type hearsay struct{ cause error }

func (h hearsay) Error() string      { return h.cause.Error() }
func (h hearsay) As(target any) bool { return errors.As(h.cause, target) }
