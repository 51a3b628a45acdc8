package e2e

import "context"

// Call sends a request of a type and returns the answer of the function that serves it
// at the other end, see [Session.Serve]. Both survive the connections that they are sent over, so
// a Call waits until it is answered, its context ends, or the session does. If
// [Options.MaxCalls] are waiting already it waits for one of them first, and so it does
// while the requests that are not answered, with its own, are more than [Options.Window]
// bytes, unless there is none: an end with the same Window holds no more. Functions at both ends
// that call each other in turn must not need more than that: they would wait for each other,
// until a context ends.
//
// A context that ends costs nothing but the answer: the request may have been served,
// and is not called back; it counts until the other end has answered it. Errors: the context's; [*RefusedError]; [*ReplyError]; one that
// matches [ErrTooLarge]; one about the type, see [Message]; [*CloseError]. After a
// CloseError the request may have been served too; if it was not acknowledged, the
// [GapError] has it.
func (s *Session) Call(ctx context.Context, typ string, data []byte) ([]byte, error) {
	return s.calls.Call(ctx, typ, data)
}
