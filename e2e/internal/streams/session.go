package streams

import (
	"context"

	"github.com/hopseal/hopseal/e2e/internal/fault"
	"github.com/hopseal/hopseal/internal/engine"
)

// A Session is what streams need of the session that carries them. Any goroutine may call it.
type Session interface {
	// Submit sends a message and returns its number. It waits while the peer takes no more
	// messages and while there is no connection. Once the message has its number, the end of
	// the context does not take it back.
	Submit(ctx context.Context, m Outgoing) (number uint64, err error)

	// Await waits until every message through a number has arrived at the peer's session. The
	// session reads by itself meanwhile.
	Await(ctx context.Context, number uint64) error

	// Sent returns the number of the last message that was sent, and Acked that of the last one
	// which the peer has acknowledged, with all before it.
	Sent() uint64
	Acked() uint64

	// AnswersTo returns how many answers the peer may give at most to so many messages. It is
	// more than one each if the peer goes on in another process.
	AnswersTo(messages uint64) uint64

	// Consumed acknowledges a message that opened a stream, so that the peer may send another
	// one and forget this one.
	Consumed(number uint64, size int)

	// Want has the session read by itself until Unwant was called as often. Without that it
	// may leave the reading to an application that receives messages.
	Want()
	Unwant()

	// Stored reports whether this end of the session outlives its process. Streams do not, so
	// it refuses those of the peer.
	Stored() bool

	// Done is closed when the session has ended. Err then says how; before, it returns nil.
	Done() <-chan struct{}
	Err() *fault.CloseError
}

// Outgoing is a message for [Session.Submit].
type Outgoing struct {
	engine.Header // without its Time
	Body          []byte
	Writer        *Writer // is told the number; nil except for the opening and the end of its stream
}

// Incoming is a message for [Streams.Deliver].
type Incoming struct {
	engine.Header
	Number uint64
	Body   []byte // valid until Deliver returns
	Size   int    // of the whole message, in bytes
}
