package fault

import "errors"

// ErrStream says that an end of a stream has given it up. What was read of it is not all.
var ErrStream = errors.New("the stream is not complete")

// A StreamError says who has given a stream up. It matches [ErrStream]. The session goes
// on.
type StreamError struct {
	Remote bool // the other end, not this one
	Err    error
}

// Error returns one line.
func (e *StreamError) Error() string {
	s := "e2e: this end gave the stream up: "
	if e.Remote {
		s = "e2e: the other end gave the stream up: "
	}
	s += ErrStream.Error()
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

// Unwrap returns ErrStream and the cause.
func (e *StreamError) Unwrap() []error {
	if e.Err == nil {
		return []error{ErrStream}
	}
	return []error{ErrStream, e.Err}
}

// ErrStreamStored is the error of calls for streams in a session with a [Options.Store]: the
// store keeps messages only, and a stream would not go on after a restart.
var ErrStreamStored = errors.New("e2e: a session that is stored has no streams")
