package e2e

import (
	"errors"
	"time"
)

const (
	// MaxStreams is how many streams each end may have under way at a time, with those that
	// the other end has not read to their end.
	MaxStreams = 64

	// MaxStreamMetadata bounds the Data of [Stream], in bytes.
	MaxStreamMetadata = 4 << 10

	// streamPiece is the most of a stream that goes into one message: with what stands
	// around it, it fills one record.
	streamPiece = 64<<10 - 128

	streamEndSize = 8
)

// ErrStream is matched by the error of a stream that one of its ends has given up. What
// was read of it is not all.
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

// ErrStreamStored is returned by calls for streams in a session with a [Config.Store]:
// what is stored is messages, and a stream would not go on after a restart.
var ErrStreamStored = errors.New("e2e: a session that is stored has no streams")

// StreamOptions are those of a stream to send. Nil means their zero value.
type StreamOptions struct {
	// Data goes ahead of the stream, at most [MaxStreamMetadata] bytes: a name, a size.
	Data []byte

	// Progress is called by Write and Finish with the number of bytes that have arrived at
	// the other end's session, each time with a larger one. It must not block.
	Progress func(arrived int64)
}

// Abort gives the stream up, unless it is finished: the other end learns that it is not
// complete.
func (w *StreamWriter) Abort() { w.cancel(&StreamError{}) }

// cancelled is Abort by the other end.
func (w *StreamWriter) cancelled() { w.cancel(&StreamError{Remote: true}) }

// A Stream says what a stream is about.
type Stream struct {
	Type string    // as its sender has called it, see [Message]
	Time time.Time // when it was begun, by its sender's clock
	ID   uint64    // its number among its sender's messages
	Data []byte    // what its sender has put ahead of it
}
