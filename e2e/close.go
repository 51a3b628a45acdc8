package e2e

import (
	"context"
	"time"
)

// closeGrace is how long Close waits until everything has arrived.
const closeGrace = 3 * time.Second

// Close ends the session once the other end has everything that was sent, and tells it,
// in a message that no hop can forge, that nothing is missing. For that it waits five
// seconds at most, over as many connections as it takes; Sends fail from its call on.
//
// Close returns nil where everything is known to have arrived at the other end's session.
// Otherwise the error is a [*CloseError] whose Gap says what may be missing, and the other
// end is told, if it can be told anything, that it has not got everything: it sees
// [CodeIncomplete] or a connection that was cut, and never [io.EOF]. It is the same error
// when Close is called again, and when the session had ended before. A session that is stored
// and not over, see [CloseError.Stored], is not closed: it may go on. Where everything has
// arrived and only the close itself could not be sent, an error says so once.
//
// Behind those five seconds come the end of the connection and, with a [Options.Store], the end
// of the record: a few seconds more where these do not work.
//
// Messages that the other end has sent and that were not received are lost: a protocol in
// which both ends talk should agree on who closes.
func (s *Session) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), closeGrace)
	defer cancel()
	return s.CloseWith(ctx, CodeDone)
}

// CloseWith is [Session.Close] with another code, such as [CodeFailed]: the other end does
// not take what it has got for all. It waits until everything has arrived for as long as
// the context lasts, and not at all with a context that has ended.
func (s *Session) CloseWith(ctx context.Context, code Code) error {
	return s.flow.Finish(ctx, code)
}
