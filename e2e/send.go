package e2e

import (
	"context"

	"github.com/hopseal/hopseal/e2e/internal/flow"
	"github.com/hopseal/hopseal/internal/engine"
)

// Send hands one message to the session, which is not to say that it has arrived: see
// [Session.Flush]. It waits while the other end does not keep up, and while there is
// no connection. The caller may use message again afterwards. An empty message is a
// message.
//
// A context that ends before Send has begun to write changes nothing. One that ends
// later costs the connection, because a message that may have been sent cannot be
// taken back: a session that has no other ends, and else keeps the message, to send it
// again on the next one, and Send returns nil. With a [Options.Store] it returns once the
// message is stored, and for that a store has [Options.SendTimeout], whatever the context says:
// the message may be stored. Messages that are sent at the same time are stored in one go. Errors: the context's; one that matches
// [ErrTooLarge], after which the session goes on; [*CloseError].
func (s *Session) Send(ctx context.Context, message []byte) error {
	return s.flow.Submit(ctx, &flow.Outgoing{Body: message})
}

// SendMessage is [Session.Send] for a message with a type, which says to the other end
// what it is, see [Message]. It returns the message's ID; where the other end refuses the
// message, [Options.Refused] is told so.
func (s *Session) SendMessage(ctx context.Context, typ string, data []byte) (id uint64, err error) {
	m := &flow.Outgoing{Header: engine.Header{Type: typ}, Body: data}
	err = s.flow.Submit(ctx, m)
	return m.Number, err
}

// Flush waits until every message sent before has arrived at the other end's
// session. That is not to say that its application has received them: only an
// answer of its own says that.
//
// A context that ends while Flush waits changes nothing. Errors: the context's, or
// a [*CloseError].
func (s *Session) Flush(ctx context.Context) error { return s.flow.Arrived(ctx, s.engine.Sent()) }
