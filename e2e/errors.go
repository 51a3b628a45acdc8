package e2e

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/hopseal/hopseal/internal/engine"
	"github.com/hopseal/hopseal/transport"
)

// ErrHandshake is matched by every error of a handshake; [HandshakeError] says
// more.
var ErrHandshake = errors.New("handshake failed")

// A Reason is why a handshake failed.
type Reason int

// Reasons.
const (
	ReasonNotAuthentic   Reason = iota + 1 // what arrived proves nothing: a change on the way, another version, somebody else's keys
	ReasonUntrusted                        // the Verifier did not accept the other end; the cause is its error
	ReasonRefused                          // the server did not accept this end's identity, or its credentials
	ReasonUnavailable                      // the server has no room now; [transport.RetryAfter] of the error says until when, if it told
	ReasonTimeout                          // the other end did not answer in time
	ReasonLost                             // the connection ended
	ReasonUnknownSession                   // the server does not know the session that was to go on, and has signed that
	ReasonLocal                            // something failed at this end, such as the signer; see the cause
	ReasonUnauthorized                     // the client's credentials are not accepted; the cause is the error of Authenticate, or [ErrCredentialsExpired] where a client comes back with them
	ReasonRolledBack                       // an end has gone back to what the session was before: it was restored from a backup, or its store was
	ReasonProtocol                         // the ends do not speak the same; the cause is a [*ProtocolError]
	ReasonIdentity                         // this end's own identity has expired, is from the future, or was revoked; the cause says which
)

var reasonTexts = map[Reason]string{
	ReasonNotAuthentic:   "the other end did not prove who it is: something in between may have changed a message, or the two ends are of different versions",
	ReasonUntrusted:      "the other end is not trusted",
	ReasonRefused:        "the server does not accept this identity, or its credentials: ask its operator to admit your fingerprint",
	ReasonUnavailable:    "the server has no room for another client now: try again later",
	ReasonTimeout:        "the other end did not answer in time",
	ReasonLost:           "the other end closed the connection: it may not speak e2e, or be of another version",
	ReasonUnknownSession: "the session is not known at the server: it may have been restarted, or have waited too long",
	ReasonLocal:          "this end could not go on",
	ReasonUnauthorized:   "the client's credentials are not accepted",
	ReasonProtocol:       "the two ends do not speak the same protocol",
	ReasonIdentity:       "this end's own identity cannot be used",
	ReasonRolledBack:     "one end has gone back to an earlier state of the session, which cannot go on",
}

// A HandshakeError says why no session came about. It matches [ErrHandshake].
type HandshakeError struct {
	Reason Reason

	// Detail is, for ReasonNotAuthentic, which check failed. It is for this end's
	// eyes and is not in the text: whoever tries out forgeries must not be able to
	// tell the checks apart.
	Detail string

	// Err is the cause: the Verifier's error, that of the transport, or nil.
	Err error
}

// Error returns one line that says what failed, at which end, and what to do.
func (e *HandshakeError) Error() string {
	s := "e2e: handshake: " + reasonTexts[e.Reason]
	if wait := transport.RetryAfter(e.Err); wait > 0 && e.Reason == ReasonUnavailable {
		s += ", in " + wait.Round(time.Millisecond).String() + " at the earliest"
	}
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

// Unwrap returns ErrHandshake and the cause.
func (e *HandshakeError) Unwrap() []error {
	if e.Err == nil {
		return []error{ErrHandshake}
	}
	return []error{ErrHandshake, e.Err}
}

// Permanent reports that trying again will fail again until somebody changes
// something.
func (e *HandshakeError) Permanent() bool {
	switch e.Reason {
	case ReasonUntrusted, ReasonRefused, ReasonUnknownSession, ReasonUnauthorized, ReasonRolledBack, ReasonProtocol, ReasonIdentity:
		return true
	}
	return false
}

// explainHandshake turns what the engine says into what the caller reads.
func explainHandshake(err error) error {
	var check *engine.Error
	var other *engine.SpeechError
	switch {
	case errors.As(err, &other):
		return protocolError(other)
	case errors.As(err, &check) && check.Reason == engine.ReasonAck: // of a hello that is authentic
		return &HandshakeError{Reason: ReasonRolledBack}
	case errors.As(err, &check):
		return &HandshakeError{Reason: ReasonNotAuthentic, Detail: check.Reason.String()}
	case errors.Is(err, engine.ErrRefused):
		return &HandshakeError{Reason: ReasonRefused}
	case errors.Is(err, engine.ErrLapsed):
		return &HandshakeError{Reason: ReasonIdentity, Err: errToldLapsed}
	case errors.Is(err, engine.ErrStale):
		return &HandshakeError{Reason: ReasonUnauthorized, Err: ErrCredentialsExpired}
	case errors.Is(err, engine.ErrUnavailable):
		return &HandshakeError{Reason: ReasonUnavailable}
	case errors.Is(err, engine.ErrUnknownSession):
		return &HandshakeError{Reason: ReasonUnknownSession}
	case errors.Is(err, engine.ErrExpired):
		return &HandshakeError{Reason: ReasonTimeout}
	}
	return &HandshakeError{Reason: ReasonLocal, Err: err}
}

// Causes for which a session ends. They are found in a [CloseError].
var (
	// ErrTruncated: the connection ended and the other end had not closed the
	// session. What it still meant to send is missing.
	ErrTruncated = errors.New("the connection ended before the other end closed the session; messages may be missing")

	// ErrTampered: a message does not open. A hop has changed, dropped, repeated,
	// reordered or invented one.
	ErrTampered = errors.New("a message was changed, dropped, repeated or reordered on the way")

	// ErrMisbehaved: the other end itself, not a hop, broke the rules of delivery, or of
	// rekeys: it sent more than it may, acknowledged what it cannot have, or wanted new
	// keys out of turn.
	ErrMisbehaved = errors.New("the other end does not keep to the protocol")

	// ErrSilent: nothing has come from the other end for twice [Config.KeepAlive], not
	// even when it was asked.
	ErrSilent = errors.New("nothing has come from the other end for too long")

	// ErrExpired: the session had no message for [Config.IdleTimeout], no connection for
	// [Config.ParkTimeout], or is older than [Config.MaxAge].
	ErrExpired = errors.New("the session has expired")

	// ErrUntrusted: the Verifier does not accept the other end any more, or that end's
	// own root has revoked it. The cause is a [*trust.Error].
	ErrUntrusted = errors.New("the other end is not trusted any more")

	// ErrCrowded: too many sessions without a connection wait for their clients.
	ErrCrowded = errors.New("the session had to make room for others")

	// ErrStalled: the other end took no message, or nothing of a long one, for
	// [Config.SendTimeout]. Where it does not answer either, that is the end of the
	// connection only.
	ErrStalled = errors.New("the other end takes no messages any more")
)

// ErrTooLarge is matched by the error of [Session.Send] for a message above the
// limit; the session goes on. In a [CloseError] it says that the other end has sent
// such a message: the ends do not have the same [Config.MaxMessage].
var ErrTooLarge = errors.New("message above the session's limit")

// ErrServerClosed is returned by a [Server] after Shutdown.
var ErrServerClosed = errors.New("e2e: the server is shut down")

// A Code says why an end closed a session. Unlike anything that a transport says,
// it comes from the other end itself.
type Code uint16

// Codes.
const (
	CodeDone        Code = iota // it had no more to say
	CodeGoingAway               // its program is shutting down
	CodeFailed                  // its function returned an error
	CodeExpired                 // a limit of time was reached
	CodeRefused                 // it does not accept this identity, or these credentials, any more
	CodeCredentials             // the client's credentials have expired
	CodeIncomplete              // it could not send everything that it had accepted
)

// String returns the code's meaning.
func (c Code) String() string {
	switch c {
	case CodeDone:
		return "done"
	case CodeGoingAway:
		return "going away"
	case CodeFailed:
		return "failed"
	case CodeExpired:
		return "expired"
	case CodeRefused:
		return "refused"
	case CodeCredentials:
		return "credentials expired"
	case CodeIncomplete:
		return "incomplete"
	}
	return "code " + strconv.Itoa(int(c))
}

// A CloseError says how a session ended. It always matches [net.ErrClosed]. It
// matches [io.EOF] where the other end has closed the session with [CodeDone], so
// that nothing is missing.
type CloseError struct {
	Code   Code  // if Err is nil
	Remote bool  // the other end closed the session, not this one
	Err    error // what broke the session, nil if it was closed

	// Gap says which messages are not known to have arrived. It is nil where this end
	// closed the session and everything has, and where it is Stored. It is found by
	// errors.As too.
	Gap *GapError

	// Missing is how many messages the other end had still accepted for sending that have
	// not arrived here, by the word of its close. It is 0 where it closed with [CodeDone].
	// Where nobody closed the session nobody knows.
	Missing uint64

	// Stored says that only this end of the session is over: it is in [Config.Store], with
	// every message that a Send has returned nil for, and may go on in another process.
	Stored bool
}

// Error returns one line.
func (e *CloseError) Error() string {
	switch s := e.text(); e.Missing {
	case 0:
		return s
	case 1:
		return s + "; one message that it had accepted has not arrived"
	default:
		return fmt.Sprintf("%s; %d messages that it had accepted have not arrived", s, e.Missing)
	}
}

func (e *CloseError) text() string {
	switch {
	case e.Err != nil && e.Stored:
		return "e2e: session ended at this end: " + e.Err.Error()
	case e.Err != nil:
		return "e2e: session ended: " + e.Err.Error()
	case e.Stored:
		return "e2e: the program goes away; the session is stored"
	case !e.Remote && e.Code == CodeIncomplete:
		return "e2e: the session was closed at this end before everything was known to have arrived: " + e.missed()
	case !e.Remote:
		return "e2e: the session was closed at this end"
	case e.Code == CodeDone:
		return "e2e: the other end closed the session"
	case e.Code == CodeGoingAway:
		return "e2e: the other end is shutting down: connect again later"
	case e.Code == CodeExpired:
		return "e2e: the other end closed the session, which has expired: connect again"
	case e.Code == CodeRefused:
		return "e2e: the other end closed the session: it does not accept this identity, or its credentials, any more"
	case e.Code == CodeCredentials:
		return "e2e: the other end closed the session, whose credentials have expired: connect again with others"
	case e.Code == CodeFailed:
		return "e2e: the other end closed the session after an error of its own"
	case e.Code == CodeIncomplete:
		return "e2e: the other end closed the session and could not send everything"
	}
	return "e2e: the other end closed the session with " + e.Code.String()
}

// missed says what the gap does.
func (e *CloseError) missed() string {
	if e.Gap == nil {
		return "see Gap"
	}
	return strings.TrimPrefix(e.Gap.Error(), "e2e: ")
}

// Unwrap returns net.ErrClosed, the cause and the gap.
func (e *CloseError) Unwrap() []error {
	all := []error{net.ErrClosed}
	if e.Err != nil {
		all = append(all, e.Err)
	}
	if e.Gap != nil {
		all = append(all, e.Gap)
	}
	return all
}

// Is makes an orderly end match io.EOF, and one for credentials that have expired
// ErrCredentials at both ends.
func (e *CloseError) Is(target error) bool {
	if !e.Remote || e.Err != nil {
		return false
	}
	return target == io.EOF && e.Code == CodeDone || target == ErrCredentials && e.Code == CodeCredentials
}

// cut is the end of a session whose connection failed under it. A caller's own
// context is no fault of the network.
func cut(ctx context.Context, err error) *CloseError {
	ended := ctx.Err()
	for _, other := range []error{context.Canceled, context.DeadlineExceeded} {
		if ended == nil && errors.Is(err, other) { // that of another call, which cost the connection
			ended = other
		}
	}
	if ended != nil {
		return &CloseError{Err: ended}
	}
	return &CloseError{Remote: true, Err: truncated{err}}
}

// truncated is ErrTruncated with what the transport knows about it. It hides the
// transport's io.EOF: a hop can forge that.
type truncated struct{ cause error }

func (t truncated) Error() string        { return ErrTruncated.Error() + " (" + t.cause.Error() + ")" }
func (t truncated) Is(target error) bool { return target == ErrTruncated }
func (t truncated) As(target any) bool   { return errors.As(t.cause, target) }
