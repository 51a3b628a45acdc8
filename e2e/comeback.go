package e2e

import (
	"context"
	"errors"
	"time"

	"github.com/hopseal/hopseal/internal/engine"
	"github.com/hopseal/hopseal/transport"
)

// A comeback gives a client's session another line each time that it has lost one. A
// session loses a line only after it got it, so there is one attempt at a time.
type comeback struct {
	client   *client
	session  *Session
	redialer *transport.Redialer // nil before the first loss
	next     *line               // what dial has made
	refused  bool                // the last attempt met a server that does not know the session
}

// run looks for the next line, or ends the session.
func (b *comeback) run(why *CloseError) {
	s := b.session
	if err := b.redial(why); err != nil {
		s.fail(gaveUp(err, why))
		return
	}
	s.attach(b.next)
}

// redial has dial called until it works. The reason is why there is no connection.
func (b *comeback) redial(why error) error {
	if b.redialer == nil {
		b.redialer = transport.NewRedialer(b.client.cfg.retry(), b.dial)
	}
	_, err := b.redialer.Next(b.session.life, why)
	return err
}

// gaveUp is the end of a session that does not come back. If nothing was tried, that
// is the end of its line.
func gaveUp(err error, why *CloseError) *CloseError {
	if last := new(transport.GaveUpError); errors.As(err, &last) && last.Err == error(why) {
		return why
	}
	return &CloseError{Remote: true, Err: truncated{err}}
}

// dial makes a connection and goes on with the session over it. Then the engine counts
// on it: the one before is over for the other end too.
func (b *comeback) dial(ctx context.Context) (_ transport.Conn, err error) {
	defer contain(&err)
	credentials, err := b.credentials(ctx)
	if err != nil {
		return nil, err
	}
	conn, err := b.client.dial(ctx)
	if err != nil {
		return nil, err
	}
	self, _ := b.client.cfg.engine()
	r, err := engine.NewResume(self, b.session.engine, time.Now())
	if err == nil {
		err = r.Present(credentials)
	}
	if err != nil { // the session is over
		conn.Close(transport.CodeNormal, "")
		return nil, &HandshakeError{Reason: ReasonLocal, Err: err}
	}
	if err := b.keep(); err != nil {
		conn.Close(transport.CodeNormal, "")
		return nil, err
	}
	b.client.events.tell(Event{State: StateHandshaking, Session: b.session, Transport: conn.Info()})
	if err := b.client.run(ctx, conn, r, nil); err != nil {
		b.client.events.tell(Event{State: StateReconnecting, Session: b.session, Err: err})
		return nil, b.doubt(err)
	}
	b.refused = false
	b.session.entitle(r.Link(), r.Peer(), grantFor(r.Lifetime()))
	b.next = newLine(conn, r.Link(), r.Hop(), b.client.cfg)
	return conn, nil
}

// credentials returns what to show the server, and has the application asked at its pace.
func (b *comeback) credentials(ctx context.Context) ([]byte, error) {
	if b.session.shows() {
		if err := b.session.updates.pace.wait(ctx, true); err != nil {
			return nil, err
		}
	}
	return b.client.presentAgain(ctx, b.session.engine.Peer())
}

// doubt has the word of a server that it does not know the session heard twice: behind one
// address there may be several, of which another one does.
func (b *comeback) doubt(err error) error {
	var failed *HandshakeError
	unknown := errors.As(err, &failed) && failed.Reason == ReasonUnknownSession
	if unknown && !b.refused {
		err = unconfirmed{err}
	}
	b.refused = unknown
	return err
}

// unconfirmed is the error of an attempt that may be made again, whatever it says.
type unconfirmed struct{ error }

func (e unconfirmed) Unwrap() error   { return e.error }
func (e unconfirmed) Permanent() bool { return false }

// retry returns the policy of a comeback. No hop can end it with a close code of its
// own, nor make it go on with a session that the server does not know.
func (c Config) retry() transport.Retry {
	r, decide := c.Retry, c.Retry.Decide
	if decide == nil {
		decide = decideRetry
	}
	r.Decide = func(err error) transport.RetryAction {
		var failed *HandshakeError
		var again unconfirmed
		var panicked *PanicError
		unknown := errors.As(err, &failed) && failed.Reason == ReasonUnknownSession && !errors.As(err, &again)
		if unknown || errors.As(err, &panicked) {
			return transport.ActionStop
		}
		return decide(err)
	}
	return r
}

// decideRetry is [transport.ActionFor] that never takes the end of a connection for
// that of the session: the other end would have closed that.
func decideRetry(err error) transport.RetryAction {
	action := transport.ActionFor(err)
	var line *CloseError
	if errors.As(err, &line) && action == transport.ActionStop {
		return transport.ActionRetry
	}
	return action
}
