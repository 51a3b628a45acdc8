package e2e

import (
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
