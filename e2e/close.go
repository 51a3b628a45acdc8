package e2e

import (
	"context"
	"time"
)

// closeGrace is how long Close waits for everything to arrive.
const closeGrace = 3 * time.Second

// Close ends the session once the other end has everything that was sent. It tells the other end, in
// a message that no hop can forge, that nothing is missing. For that it waits at most five seconds, over as
// many connections as it takes. After the call of Close every Send fails.
//
// Close returns nil if everything is known to have arrived at the other end's session. Otherwise the
// error is a [*CloseError] whose Gap says what may be missing, and the other end learns that it has not
// got everything: it sees [CodeIncomplete] or a cut connection, and never [io.EOF]. Close returns the
// same error when it is called again, and if the session had ended before. Close does not close a
// session that is stored and not over, see [CloseError.Stored]: it may go on. If everything has arrived
// and only the close itself could not be sent, the error of the first call says so.
//
// After these five seconds Close ends the connection and, with an [Options.Store], the stored record. If these
// do not work, it takes a few seconds more.
//
// Messages that the other end has sent and that this end has not received are lost: a protocol in which
// both ends talk should say which of them closes.
func (s *Session) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), closeGrace)
	defer cancel()
	return s.CloseWith(ctx, CodeDone)
}

// CloseWith is [Session.Close] with another code, such as [CodeFailed], after which the other end does
// not take what it has got for everything. It waits for everything to arrive as long as the context
// lasts, and not at all if the context has ended.
func (s *Session) CloseWith(ctx context.Context, code Code) error {
	return s.flow.Finish(ctx, code)
}
