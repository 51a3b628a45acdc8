package e2e

import (
	"context"

	"github.com/hopseal/hopseal/e2e/internal/flow"
)

// Receive waits for the next message of type "", as [Session.Send] sends it, and refuses
// others, and requests. While nobody receives, the session itself
// reads up to [Options.Window] bytes ahead; then the other end has to wait. What it
// has read before the other end closed or the connection was lost is still
// returned.
//
// With a [Options.Store], asking for the next message says that the application is done with
// those before: only then the other end may forget them. What it was not done with when
// its process ended, it receives again in the next one.
//
// The error is a [*CloseError], or the context's if it had ended before the call.
// A context that ends while Receive waits may cost the connection, and ends a session
// that has no other, so short deadlines are no way to poll. An error that matches
// [io.EOF] says that the other end has sent everything it meant to. While a
// [Session.Serve] is under way Receive fails at once: the messages are for that.
func (s *Session) Receive(ctx context.Context) ([]byte, error) {
	return s.AppendReceive(ctx, nil)
}

// AppendReceive is [Session.Receive] into the caller's memory: it appends the
// message to dst. With room for the message and 12 % more, or 200 bytes, it allocates
// nothing.
// After an error it returns dst as it was.
func (s *Session) AppendReceive(ctx context.Context, dst []byte) ([]byte, error) {
	var m flow.Incoming
	return s.flow.Receive(ctx, dst, true, &m)
}

// ReceiveMessage is [Session.Receive] for messages of any type.
func (s *Session) ReceiveMessage(ctx context.Context) (Message, error) {
	var m flow.Incoming
	body, err := s.flow.Receive(ctx, nil, false, &m)
	if err != nil {
		return Message{}, err
	}
	m.Body = body
	return s.message(m), nil
}
