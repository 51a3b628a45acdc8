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

// ActionFor returns what a client does about an error while it looks for the next connection of a
// session. A nil Decide of [Config.Retry] means ActionFor, and a Decide of your own may call it for errors
// that it does not know. It returns [redial.Stop] for these only:
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
// It never stops for an answer to a dial, whatever the status, the certificate or the close code, nor for
// a frame that does not prove where it comes from. For these [redial.ActionFor] decides whether to wait or
// to refresh a credential. If an answer says how long to wait, ActionFor waits, whatever its status.
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

// ends reports whether the error of an attempt to get a connection ends the session. After any other
// error there is another attempt.
func ends(err error) bool {
	var by final
	if !errors.As(err, &by) || errors.As(err, new(unconfirmed)) {
		return false
	}
	if failed := new(HandshakeError); errors.As(by, &failed) {
		return failed.Permanent() && !fault.Outdated(failed)
	}
	return errors.As(by, new(*PanicError))
}

// final marks an error that may end the session, because an end of the session itself has caused it: the
// other end inside the encryption, or the application at this end. An error without this mark never does,
// whatever its type: it may come from the network.
type final struct{ error }

func (e final) Unwrap() error { return e.error }

// unconfirmed marks an error after which there is another attempt, whatever it says.
type unconfirmed struct{ error }

func (e unconfirmed) Unwrap() error   { return e.error }
func (e unconfirmed) Permanent() bool { return false }

// retry returns the policy of a reconnector. Whatever the application's Decide returns, it stops if the
// server does not know the session, and after a panic of the application.
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
		defer fault.Contain(&b.panicked)
		action = decide(err)
		if action != redial.Stop && ends(err) { // else the session's end reports it
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

// refresh returns the application's Refresh, with an event for each failure. A panic of it does not end
// the program, and refresh does not wait for it once its context has ended.
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
			err = final{panicked}
		}
		return err
	}
}

// containFinal is fault.Contain for code of the application: it turns a panic into an error that ends the
// session.
func containFinal(err *error) {
	switch v := recover().(type) {
	case nil:
	case *PanicError: // of another goroutine
		*err = final{v}
	default:
		*err = final{&PanicError{Value: v, Stack: debug.Stack()}}
	}
}
