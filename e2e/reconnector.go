package e2e

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/hopseal/hopseal/e2e/internal/fault"
	"github.com/hopseal/hopseal/e2e/internal/flow"
	"github.com/hopseal/hopseal/internal/engine"
	"github.com/hopseal/hopseal/transport"
	"github.com/hopseal/hopseal/transport/redial"
)

// longestDial bounds each dial of a reconnector. [transport.Dial] itself gives up after half of that.
const longestDial = time.Minute

// A reconnector gives a client's session another line whenever the session has lost one. A session can
// lose a line only after it got it, so there is one attempt at a time.
type reconnector struct {
	client   *client
	session  *Session
	redialer *redial.Redialer // nil before the first loss
	next     *flow.Line       // the line that dial has made
	refused  bool             // the last attempt met a server that does not know the session
	panicked error            // from a panic of the application's Decide

	mu   sync.Mutex // guards what follows
	last error      // that an attempt failed with
}

// run looks for the next line, or ends the session.
func (b *reconnector) run(why *CloseError) {
	s, err := b.session, fault.ErrGoexit
	defer func() {
		if err != nil {
			s.flow.Fail(gaveUp(err, why))
		}
	}()
	if err = b.redial(fault.Disconnected(why)); err == nil {
		s.flow.Attach(b.next)
	}
}

// redial calls dial until it works or the policy gives up. why is the reason why there is no connection.
func (b *reconnector) redial(why error) error {
	if b.redialer == nil {
		b.redialer = redial.New(b.retry(), b.dial)
	}
	_, err := b.redialer.Next(b.session.flow.Life(), why)
	if b.panicked != nil {
		return b.panicked
	}
	return err
}

// gaveUp returns how a session ended that got no other line. If there was no attempt, that is why the
// last line ended.
func gaveUp(err error, why *CloseError) *CloseError {
	var last *redial.GaveUpError
	if errors.As(err, &last) {
		if _, untried := last.Err.(*DisconnectError); untried {
			return why
		}
	}
	return &CloseError{Remote: true, Err: fault.Truncated(err)}
}

// dial makes a connection and goes on with the session over it.
func (b *reconnector) dial(ctx context.Context) (transport.Conn, error) {
	conn, err := b.attempt(ctx)
	if err == nil {
		b.refused = false
		return conn, nil
	}
	if err = b.confirm(err); !ends(err) { // else the session's end or Decide reports it
		b.failed(err)
	}
	return nil, err
}

// failed reports an attempt that failed.
func (b *reconnector) failed(err error) {
	if again, ok := err.(unconfirmed); ok {
		err = again.error
	}
	if by, ok := err.(final); ok {
		err = by.error
	}
	b.mu.Lock()
	b.last = err
	b.mu.Unlock()
	b.client.events.tell(Event{State: StateReconnecting, Session: b.session, Err: err})
}

// lastFailure returns why the last attempt failed, or nil.
func (b *reconnector) lastFailure() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.last
}

// attempt makes a connection and resumes the session on it. If it works, the earlier connection is over
// for the other end too.
func (b *reconnector) attempt(ctx context.Context) (_ transport.Conn, err error) {
	defer containFinal(&err)
	credentials, err := b.credentials(ctx)
	if err != nil {
		return nil, final{err}
	}
	conn, err := b.connect(ctx)
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
	if err := b.storeAttempt(); err != nil {
		conn.Close(transport.CodeNormal, "")
		return nil, err
	}
	b.client.events.tell(Event{State: StateHandshaking, Session: b.session, Transport: conn.Info()})
	if err := b.client.run(ctx, conn, r, nil); err != nil {
		return nil, final{err}
	}
	b.session.entitle(r.Link(), r.Peer(), grantFor(r.Lifetime()))
	b.next = newLine(conn, r.Link(), r.Hop(), b.client.cfg.MaxMessage)
	return conn, nil
}

func (b *reconnector) connect(ctx context.Context) (transport.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, longestDial)
	defer cancel()
	return b.client.dial(ctx)
}

// credentials returns the credentials to show the server. It limits how often it asks the application.
func (b *reconnector) credentials(ctx context.Context) ([]byte, error) {
	if b.session.updates.shows() {
		if err := b.session.updates.pace.Wait(ctx, true); err != nil {
			return nil, err
		}
	}
	return b.client.presentAgain(ctx, b.session.engine.Peer())
}

// confirm makes the reconnector try once more after a server's first answer that it does not know the
// session: behind one address there may be several servers, and another one may know it. The same answer
// to the next attempt ends the session.
func (b *reconnector) confirm(err error) error {
	again := ends(err) && isUnknown(err)
	if again && !b.refused {
		err = unconfirmed{err}
	}
	b.refused = again
	return err
}

// storeAttempt stores that this attempt is being made: another process must not make the same one.
func (b *reconnector) storeAttempt() error {
	k := b.session.keeper
	if k == nil {
		return nil
	}
	if err := k.Sync(); err != nil {
		return &HandshakeError{Reason: ReasonLocal, Err: b.session.flow.StoreFailed(err)}
	}
	return nil
}
