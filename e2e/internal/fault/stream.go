package fault

import "errors"

// A StreamError says who has given a stream up: what was read of it is not all. The session goes
// on.
type StreamError struct {
	Remote bool // the other end, not this one
	Err    error
}

// Error returns one line.
func (e *StreamError) Error() string {
	s := "e2e: this end gave the stream up: the stream is not complete"
	if e.Remote {
		s = "e2e: the other end gave the stream up: the stream is not complete"
	}
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

// Unwrap returns the cause, or nil.
func (e *StreamError) Unwrap() error { return e.Err }

// ErrStreamStored is the error of calls for streams in a session with a [Options.Store]: the
// store keeps messages only, and a stream would not go on after a restart. It matches [errors.ErrUnsupported].
var ErrStreamStored error = streamStoredError{}

// streamStoredError is the type of ErrStreamStored.
type streamStoredError struct{}

func (streamStoredError) Error() string { return "e2e: a session that is stored has no streams" }
func (streamStoredError) Unwrap() error { return errors.ErrUnsupported }
