package e2e

import (
	"context"
	"errors"
	"runtime/debug"

	"github.com/hopseal/hopseal/e2e/internal/aside"
	"github.com/hopseal/hopseal/e2e/internal/fault"
	"github.com/hopseal/hopseal/e2e/internal/retry"
	"github.com/hopseal/hopseal/transport"
	"github.com/hopseal/hopseal/transport/redial"
)

// ActionFor returns what a client does about an error while it looks for the next
// connection of a session. It is what Decide of [Config.Retry] means if it is nil, and is
// there for a Decide that does not know itself. It stops for these alone:
//
//	what the other end has said inside the encryption
//	  it does not accept this identity, or its credentials, any more, whatever the time is
//	  it does not know the session: it has signed that, twice in a row
//	  the session has gone back to an earlier state
//	what this end's own code has said
//	  its Verifier does not accept the other end any more, whatever the time is
//	  its Credentials returned an error such as ErrCredentials
//	  it panicked
//
// No answer to a dial stops it, whatever the status, the certificate or the close code, and
// no frame that does not prove where it comes from. Of these [redial.ActionFor] says
// whether to wait or to refresh a credential; an answer of any status is waited for if it
// asks for that.
func ActionFor(err error) redial.Action {
	if ends(err) {
		return redial.Stop
	}
	switch action := redial.ActionFor(err); action {
	case redial.Wait, redial.Refresh:
		return action
	}
	if transport.RetryAfter(err) > 0 {
		return redial.Wait
	}
	return redial.Retry
}

// ends reports whether an attempt to get a connection ends the session. It is the list of
// all that does: what is not in it is tried again.
func ends(err error) bool {
	var by said
	if !errors.As(err, &by) || errors.As(err, new(unconfirmed)) {
		return false
	}
	if failed := new(HandshakeError); errors.As(by, &failed) {
		return failed.Permanent() && !fault.Outdated(failed)
	}
	return errors.As(by, new(*PanicError))
}

// said is the error of an attempt that an end of the session is behind: the other one,
// inside the encryption, or the application at this one. Nothing else counts, whatever types
// of errors a dial may return.
type said struct{ error }

func (e said) Unwrap() error { return e.error }

// unconfirmed is the error of an attempt that may be made again, whatever it says.
type unconfirmed struct{ error }

func (e unconfirmed) Unwrap() error   { return e.error }
func (e unconfirmed) Permanent() bool { return false }

// retry returns the policy of a reconnector. An application cannot make it go on with a session
// that the server does not know, nor behind a panic of its own.
func (b *reconnector) retry() redial.Policy {
	r := retry.WithDefaults(b.client.retry)
	r.Refresh = b.refresh(r.Refresh)
	decide := r.Decide
	if decide == nil {
		decide = ActionFor
	}
	r.Decide = func(err error) (action redial.Action) {
		if ends(err) && (isUnknown(err) || errors.As(err, new(*PanicError))) {
			return redial.Stop
		}
		action = redial.Stop // if it panics
		defer fault.Contain(&b.decided)
		action = decide(err)
		if action != redial.Stop && ends(err) { // so that no end of the session says it
			b.failed(err)
		}
		return action
	}
	return r
}

// isUnknown reports whether the server has said that it does not know the session.
func isUnknown(err error) bool {
	var failed *HandshakeError
	return errors.As(err, &failed) && failed.Reason == ReasonUnknownSession
}

// refresh is the application's Refresh, of which the session tells when it fails. It does not
// take the program with it when it panics, and is not waited for when its context has ended.
func (b *reconnector) refresh(ask func(context.Context) error) func(context.Context) error {
	if ask == nil {
		return nil
	}
	return func(ctx context.Context) (err error) {
		defer func() {
			if err != nil && !ends(err) {
				b.failed(redial.ErrRefresh) // its own text may hold the credential
			}
		}()
		err = aside.Do(ctx, b.client.cfg.asking, ask)
		if panicked, ok := err.(*PanicError); ok {
			err = said{panicked}
		}
		return err
	}
}

// own is contain for code of the application that the session asks, and not the network.
func own(err *error) {
	switch v := recover().(type) {
	case nil:
	case *PanicError: // of another goroutine
		*err = said{v}
	default:
		*err = said{&PanicError{Value: v, Stack: debug.Stack()}}
	}
}
