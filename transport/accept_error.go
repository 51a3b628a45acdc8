package transport

import (
	"errors"
	"strconv"
	"time"
)

// Reasons why Accept refused a request, besides [ErrOrigin]. An [*AcceptError] matches one of these
// if the reason has a name.
var (
	// ErrCleartext means that TLS is missing on the way to the client, see [Policy].
	ErrCleartext = errors.New("cleartext refused")

	// ErrHost means that the client dialled a name that this server does not go by, see Hosts in
	// AcceptOptions. The answer was 421.
	ErrHost = errors.New("host not served here")

	// ErrUnauthorized means that the client's credential is missing, invalid or expired. The answer
	// was 401; the client may come back with another credential.
	ErrUnauthorized = errors.New("unauthorized")

	// ErrForbidden means that the client is known and may not connect. The answer was 403.
	ErrForbidden = errors.New("forbidden")
)

// An UnavailableError is what Authenticate returns if it cannot decide now. Accept answers 503 with
// RetryAfter. It matches neither [ErrUnauthorized] nor [ErrForbidden].
type UnavailableError struct {
	RetryAfter time.Duration // 0 if unknown; rounded up to seconds
	Err        error
}

// Error returns the text of Err.
func (e *UnavailableError) Error() string { return e.Err.Error() }

// Unwrap returns Err.
func (e *UnavailableError) Unwrap() error { return e.Err }

// An AcceptError tells the server why Accept refused a request. The client learns less: the status,
// and a text that is the same for all clients. The error holds no credential and no query.
type AcceptError struct {
	Status  int    // the HTTP status that answered the request
	Problem string // what was wrong, and what to do about it

	err error
}

// Error returns one line.
func (e *AcceptError) Error() string {
	return "transport: accept: " + e.Problem + " (answered " + strconv.Itoa(e.Status) + ")"
}

// Unwrap returns the cause if callers may test for it, else nil.
func (e *AcceptError) Unwrap() error { return e.err }
