package e2e

import "context"

// Call sends a request of a type and returns the answer of the function that serves it at the other
// end, see [Session.Serve]. Request and answer survive the connections that they are sent over, so a
// Call waits until it is answered, its context ends, or the session ends.
//
// Call first waits for an earlier one if [Options.MaxCalls] are waiting already, or if the unanswered
// requests, with this one, have more than [Options.Window] bytes: an end with the same Window holds no
// more. It never waits for that if nothing is unanswered. Functions at both ends that call each other
// in turn must not need more than these limits: they would wait for each other until a context ends.
//
// If the context ends, only the answer is lost: the request is not taken back and may be served. It
// counts until the other end has answered it. Errors: the context's; [*RefusedError]; [*ReplyError];
// one that matches [ErrTooLarge]; one about the type, see [Message]; [*CloseError]. After a CloseError
// too the request may have been served; if it was not acknowledged, the [GapError] has it.
func (s *Session) Call(ctx context.Context, typ string, data []byte) ([]byte, error) {
	return s.calls.Call(ctx, typ, data)
}
