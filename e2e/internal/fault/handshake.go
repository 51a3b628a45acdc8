package fault

import (
	"errors"
	"time"

	"github.com/hopseal/hopseal/internal/engine"
	"github.com/hopseal/hopseal/transport"
)

// A Reason is why a handshake failed.
type Reason int

// Reasons.
const (
	ReasonNotAuthentic   Reason = iota + 1 // what arrived proves nothing: a change on the way, another version, somebody else's keys
	ReasonUntrusted                        // the Verifier did not accept the other end; the cause is its error
	ReasonRefused                          // the server did not accept this end's identity, or its credentials
	ReasonUnavailable                      // the server has no room now; [transport.RetryAfter] of the error returns how long to wait, if the server said so
	ReasonTimeout                          // the other end did not answer in time
	ReasonLost                             // the connection ended
	ReasonUnknownSession                   // the server does not know the session that was to go on, and has signed that
	ReasonLocal                            // something failed at this end, such as the signer; see the cause
	ReasonUnauthorized                     // the client's credentials are not accepted; the cause is the error of Authenticate, or [ErrCredentialsExpired] if a client comes back with expired ones
	ReasonRolledBack                       // an end has gone back to what the session was before: it was restored from a backup, or its store was
	ReasonProtocol                         // the ends do not speak the same; the cause is a [*ProtocolError]
	ReasonIdentity                         // this end's own identity has expired, is from the future, or was revoked; the cause says which
)

var ReasonTexts = map[Reason]string{
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

// A HandshakeError says why no session came about.
type HandshakeError struct {
	Reason Reason

	// Detail says, for ReasonNotAuthentic, which check failed. It is for this end only, and
	// not in the text: whoever tries out forgeries must not learn which check stopped them.
	Detail string

	// Err is the cause: the Verifier's error, the transport's error, or nil.
	Err error
}

// Error returns one line that says what failed, at which end, and what to do.
func (e *HandshakeError) Error() string {
	s := "e2e: handshake: " + ReasonTexts[e.Reason]
	if wait := transport.RetryAfter(e.Err); wait > 0 && e.Reason == ReasonUnavailable {
		s += ", in " + wait.Round(time.Millisecond).String() + " at the earliest"
	}
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

// Unwrap returns the cause, or nil.
func (e *HandshakeError) Unwrap() error { return e.Err }

// Permanent reports whether another try will fail too, until somebody changes something.
func (e *HandshakeError) Permanent() bool {
	switch e.Reason {
	case ReasonUntrusted, ReasonRefused, ReasonUnknownSession, ReasonUnauthorized, ReasonRolledBack, ReasonProtocol, ReasonIdentity:
		return true
	}
	return false
}

// Explain turns an error of the engine into the error that the caller gets.
func Explain(err error) error {
	var check *engine.Error
	var other *engine.SpeechError
	switch {
	case errors.As(err, &other):
		return Protocol(other)
	case errors.As(err, &check) && check.Reason == engine.ReasonAck: // of a hello that is authentic
		return &HandshakeError{Reason: ReasonRolledBack}
	case errors.As(err, &check):
		return &HandshakeError{Reason: ReasonNotAuthentic, Detail: check.Reason.String()}
	case errors.Is(err, engine.ErrRefused):
		return &HandshakeError{Reason: ReasonRefused}
	case errors.Is(err, engine.ErrLapsed):
		return &HandshakeError{Reason: ReasonIdentity, Err: ErrLapsedThere}
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
