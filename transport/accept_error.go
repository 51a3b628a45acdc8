package transport

import (
	"errors"
	"strconv"
	"time"
)

// Why an Accept refused a request, beside [ErrOrigin]. Its [*AcceptError] matches
// one of these where the reason has a name.
var (
	// ErrCleartext is matched where TLS is missing on the way to the client, see
	// [Policy].
	ErrCleartext = errors.New("cleartext refused")

	// ErrHost is matched where the client dialled a name that this server does not
	// go by, see Hosts in AcceptOptions. It was answered 421.
	ErrHost = errors.New("host not served here")

	// ErrUnauthorized is matched where a client shows no credential, or one that
	// counts for nothing or has expired. The client was answered 401, and may
	// come back with another.
	ErrUnauthorized = errors.New("unauthorized")

	// ErrForbidden is matched where the client is known, and may not connect. It
	// was answered 403.
	ErrForbidden = errors.New("forbidden")
)

// An UnavailableError is for an Authenticate that cannot decide now. Accept answers 503 with its
// time to wait. It matches neither [ErrUnauthorized] nor [ErrForbidden].
type UnavailableError struct {
	RetryAfter time.Duration // 0 where that is not known; rounded up to seconds
	Err        error
}

// Error returns the text of Err.
func (e *UnavailableError) Error() string { return e.Err.Error() }

// Unwrap returns Err.
func (e *UnavailableError) Unwrap() error { return e.Err }

// An AcceptError says to the server why it turned a request down. The client was
// told less: the status, and a text that is the same for all. It holds no
// credential and no query.
type AcceptError struct {
	Status  int    // the HTTP status that answered the request
	Problem string // what was wrong, and what to do about it

	err error
}

// Error returns one line.
func (e *AcceptError) Error() string {
	return "transport: accept: " + e.Problem + " (answered " + strconv.Itoa(e.Status) + ")"
}

// Unwrap returns the cause where it is one that callers test for, else nil.
func (e *AcceptError) Unwrap() error { return e.err }
