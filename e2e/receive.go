package e2e

import (
	"context"

	"github.com/hopseal/hopseal/e2e/internal/flow"
)

// Receive waits for the next message of type "", as [Session.Send] sends it. It refuses messages of other
// types, and requests. While nobody receives, the session itself reads up to [Options.Window] bytes in
// advance; then the other end has to wait. Receive still returns what was read before the other end
// closed or the connection was lost.
//
// With an [Options.Store], a call of Receive says that the application is done with all messages before:
// only then may the other end forget them. If the process ends, the next one receives those messages
// again with which the application was not done.
//
// The error is a [*CloseError], or the context's if it had ended before the call. A context that ends
// while Receive waits may cost the connection, and ends a session that cannot get another one: do not
// poll with short deadlines. An error that matches [io.EOF] says that the other end has sent everything
// that it meant to. During a [Session.Serve] Receive fails at once: Serve gets the messages.
func (s *Session) Receive(ctx context.Context) ([]byte, error) {
	return s.AppendReceive(ctx, nil)
}

// AppendReceive is [Session.Receive] into the caller's memory: it appends the message to dst. If dst has
// room for the message and 12 % more, or for 200 bytes more, AppendReceive allocates nothing. After an
// error it returns dst unchanged.
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
