package redial

import (
	"context"
	"errors"
	"io"

	"github.com/hopseal/hopseal/transport"
)

// An Action is what to do after an error.
type Action int

const (
	Retry   Action = iota // try again after a back-off
	Wait                  // try again when the server wants it; no wake-up shortens the wait
	Refresh               // get a fresh credential, after a back-off, and try again
	Stop                  // give up: trying again would not help
)

// String returns the action's name.
func (a Action) String() string {
	switch a {
	case Retry:
		return "retry"
	case Wait:
		return "wait"
	case Refresh:
		return "refresh"
	}
	return "stop"
}

// ActionFor returns what to do after the error of a dial or of a connection that
// ended. It is what [Policy.Decide] means if it is nil, but see below for
// [Policy.KeepTrying].
//
//	the caller's context was cancelled           stop
//	a dial that the server answered with
//	  401                                        refresh
//	  408, 425, 429, 500 and above               wait if it sent Retry-After, 429 in any case; else retry
//	  anything else                              stop
//	another failed dial                          stop if it is Permanent(), else retry
//	an error of a layer above with a method
//	  Permanent() bool                           the same: what is below it does not count,
//	                                             but wait where it holds a time to wait
//	a connection that the peer closed with
//	  1000                                       stop: it is done
//	  1002, 1003, 1007, 1008, 1009, 1010, 3003   stop: the same would happen again
//	  1012, 1013                                 wait
//	  3000                                       refresh
//	  anything else, 4000 and above included     retry
//	a connection that broke                      retry
//	a connection that this end closed            stop
//	a connection that this end gave up because of
//	  a text message, or one that is too large   stop: the same would happen again
//	  anything else, such as a late reader       retry
//	io.EOF                                       stop: it is done
//	any other error                              retry
//
// A close code comes from whoever terminates the connection, and a hop can send
// any. Where the difference between 1000 and a cut matters, what runs above has to
// learn it from the peer itself, as a session of package e2e does, and Decide has
// to look there.
//
// With [Policy.KeepTrying], once there has been a connection, only these stop:
//
//	the caller's context was cancelled, but for a dial that says so
//	an error of a layer above with a method Permanent() bool that returns true
//	a connection that this end closed
//
// Wait and refresh are as above, but that whatever holds a time to wait waits. Everything
// else is tried again. Refresh without a [Policy.Refresh] is retry, and after a Refresh that
// failed, for good or not, the next try is made with the credential that there is.
func ActionFor(err error) Action {
	var verdict interface{ Permanent() bool }
	var end *transport.CloseError
	switch {
	case errors.Is(err, context.Canceled):
		return Stop
	case errors.As(err, &verdict):
		return actionOfDial(verdict)
	case errors.As(err, &end):
		return actionOfEnd(end)
	case errors.Is(err, io.EOF):
		return Stop
	}
	return Retry
}

// actionOfDial returns what to do after an error that says whether it is permanent. Some errors are
// permanent for a dial but not for a Redialer: a credential or time can cure them.
func actionOfDial(verdict interface{ Permanent() bool }) Action {
	dial, ok := verdict.(*transport.DialError)
	if ok && dial.Status != 0 {
		return actionOfStatus(dial)
	}
	above, _ := verdict.(error)
	switch {
	case verdict.Permanent():
		return Stop
	case !ok && transport.RetryAfter(above) > 0:
		return Wait
	}
	return Retry
}

// actionOfStatus returns what to do after a dial that a server has answered. Statuses are those of
// RFC 9110, section 15, 425 of RFC 8470, 429 of RFC 6585.
func actionOfStatus(e *transport.DialError) Action {
	switch {
	case e.Status == 401 && e.Phase != transport.PhaseProxy: // a proxy's 401 says nothing about the server's credential
		return Refresh
	case e.Status == 429:
		return Wait
	case e.Status != 408 && e.Status != 425 && e.Status < 500:
		return Stop
	case e.RetryAfter > 0:
		return Wait
	}
	return Retry
}

func actionOfEnd(e *transport.CloseError) Action {
	switch {
	case e.Remote:
		return actionOfCode(e.Code)
	case e.Err == nil, e.Code == transport.CodeUnsupported, e.Code == transport.CodeTooLarge:
		return Stop
	}
	return Retry
}

// actionOfCode returns what to do after the peer closed the connection.
func actionOfCode(code transport.Code) Action {
	const invalidText, missingExtension = 1007, 1010
	switch code {
	case transport.CodeNormal:
		return Stop
	case transport.CodeProtocol, transport.CodeUnsupported, invalidText, transport.CodePolicy, transport.CodeTooLarge, missingExtension, transport.CodeForbidden:
		return Stop
	case transport.CodeRestart, transport.CodeTryLater:
		return Wait
	case transport.CodeUnauthorized:
		return Refresh
	}
	return Retry
}
