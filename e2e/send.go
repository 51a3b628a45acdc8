package e2e

import (
	"context"

	"github.com/hopseal/hopseal/e2e/internal/flow"
	"github.com/hopseal/hopseal/internal/engine"
)

// Send hands one message to the session. That does not mean that the message has arrived, see
// [Session.Flush]. Send waits while the other end does not keep up, and while there is no connection. The
// caller may reuse message afterwards. A message may be empty.
//
// If the context ends before Send has begun to write, nothing has changed. If it ends later, it costs the
// connection, because a message that may have been sent cannot be taken back. A session that can get
// another connection keeps the message and sends it again there, and Send returns nil; any other session
// ends.
//
// With an [Options.Store] Send returns once the message is stored. The store has [Options.SendTimeout] for
// that, whatever the context says. Messages that are sent at the same time are stored together.
//
// Errors: the context's; one that matches [ErrTooLarge], after which the session goes on; [*CloseError].
func (s *Session) Send(ctx context.Context, message []byte) error {
	return s.flow.Submit(ctx, &flow.Outgoing{Body: message})
}

// SendMessage is [Session.Send] for a message with a type, which tells the other end what kind of message
// it is, see [Message]. It returns the message's ID. If the other end refuses the message,
// [Options.Refused] is called.
func (s *Session) SendMessage(ctx context.Context, typ string, data []byte) (id uint64, err error) {
	m := &flow.Outgoing{Header: engine.Header{Type: typ}, Body: data}
	err = s.flow.Submit(ctx, m)
	return m.Number, err
}

// Flush waits until every message sent before has arrived at the other end's session. That does not mean
// that the application there has received them: only an answer of its own shows that.
//
// A context that ends while Flush waits changes nothing. Errors: the context's, or
// a [*CloseError].
func (s *Session) Flush(ctx context.Context) error { return s.flow.Arrived(ctx, s.engine.Sent()) }
