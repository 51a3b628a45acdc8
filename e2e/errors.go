package e2e

import "github.com/hopseal/hopseal/e2e/internal/fault"

// A HandshakeError says in one line why there is no session: what failed, at which end, and what to
// do. Its fields:
//
//	Reason  why
//	Detail  for ReasonNotAuthentic: which check failed. It is for this end only and not in
//	        the text: whoever tries out forgeries must not learn which check stopped them.
//	Err     the cause: the Verifier's error, the transport's error, or nil
//
// Its method Permanent reports whether trying again fails until somebody changes something.
type HandshakeError = fault.HandshakeError

// A Reason is why a handshake failed.
type Reason = fault.Reason

// Reasons.
const (
	ReasonNotAuthentic   = fault.ReasonNotAuthentic   // what arrived proves nothing: a change on the way, another version, somebody else's keys
	ReasonUntrusted      = fault.ReasonUntrusted      // the Verifier did not accept the other end; the cause is its error
	ReasonRefused        = fault.ReasonRefused        // the server did not accept this end's identity, or its credentials
	ReasonUnavailable    = fault.ReasonUnavailable    // the server has no room now; [transport.RetryAfter] of the error returns how long to wait, if the server said so
	ReasonTimeout        = fault.ReasonTimeout        // the other end did not answer in time
	ReasonLost           = fault.ReasonLost           // the connection ended
	ReasonUnknownSession = fault.ReasonUnknownSession // the server does not know the session to resume, and has signed that
	ReasonLocal          = fault.ReasonLocal          // something failed at this end, such as the signer; see the cause
	ReasonUnauthorized   = fault.ReasonUnauthorized   // the client's credentials are not accepted; the cause is the error of Authenticate, or [ErrCredentialsExpired] if a client comes back with expired ones
	ReasonRolledBack     = fault.ReasonRolledBack     // an end has gone back to an earlier state of the session: it or its store was restored from a backup
	ReasonProtocol       = fault.ReasonProtocol       // the ends do not speak the same; the cause is a [*ProtocolError]
	ReasonIdentity       = fault.ReasonIdentity       // this end's own identity has expired, is from the future, or was revoked; the cause says which
)

// A ProtocolError says what the two ends of a handshake speak if they do not speak the same: Own and
// Theirs are their [Config.Protocol], OwnProof and TheirsProof their [Options.Proof]. The other end has
// proved who it is, so what it says here is authentic. A ProtocolError is the cause of a
// [HandshakeError] with [ReasonProtocol], at both ends.
type ProtocolError = fault.ProtocolError

// A CloseError says how a session ended. It always matches [net.ErrClosed]. It matches
// [io.EOF] if the other end has closed the session with [CodeDone], so that nothing
// is missing. Its fields:
//
//	Code     why an end closed the session, if Err is nil
//	Remote   the other end closed the session, not this one
//	Err      what broke the session, nil if it was closed
//	Gap      which messages are not known to have arrived. It is nil if this end closed the
//	         session and everything has arrived, and if the session is Stored. errors.As
//	         finds it too.
//	Missing  how many messages the other end had accepted for sending, as its close says,
//	         that have not arrived here. It is 0 if the other end closed with CodeDone. If
//	         neither end closed the session, nobody knows the number.
//	Stored   the session is over in this process only: it is in [Options.Store], with every
//	         message for which a Send has returned nil, and may go on in another process
type CloseError = fault.CloseError

// A Code says why an end closed a session. Unlike anything that a transport says,
// it comes from the other end itself.
type Code = fault.Code

// Codes.
const (
	CodeDone        = fault.CodeDone        // it had no more to send
	CodeGoingAway   = fault.CodeGoingAway   // its program is shutting down
	CodeFailed      = fault.CodeFailed      // its function returned an error
	CodeExpired     = fault.CodeExpired     // a limit of time was reached
	CodeRefused     = fault.CodeRefused     // it does not accept this identity, or these credentials, any more
	CodeCredentials = fault.CodeCredentials // the client's credentials have expired
	CodeIncomplete  = fault.CodeIncomplete  // it could not send everything that it had accepted
)

// Causes for which a session ends. They are found in a [CloseError].
var (
	// ErrTruncated: the connection ended and the other end had not closed the
	// session. Messages that it meant to send may be missing.
	ErrTruncated = fault.ErrTruncated

	// ErrTampered: a message does not open. A hop has changed, dropped, repeated,
	// reordered or invented one.
	ErrTampered = fault.ErrTampered

	// ErrMisbehaved: the other end itself, not a hop, broke the rules of delivery or of
	// rekeys: it sent more than it may, acknowledged messages that it cannot have, or asked
	// for new keys out of turn.
	ErrMisbehaved = fault.ErrMisbehaved

	// ErrSilent: nothing has come from the other end for twice [Options.KeepAlive], not
	// even when it was asked.
	ErrSilent = fault.ErrSilent

	// ErrExpired: the session had no message for [Options.IdleTimeout], no connection for
	// [ServerConfig.ParkTimeout], or is older than [Options.MaxAge].
	ErrExpired = fault.ErrExpired

	// ErrUntrusted: the Verifier does not accept the other end any more, or the other end's
	// root has revoked its identity. The cause is a [*trust.Error].
	ErrUntrusted = fault.ErrUntrusted

	// ErrCrowded: too many sessions without a connection wait for their clients.
	ErrCrowded = fault.ErrCrowded

	// ErrStalled: the other end answers, but took no message, or no part of a long one, for
	// [Options.SendTimeout]. If it does not answer either, only the connection ends.
	ErrStalled = fault.ErrStalled
)

// A GapError says which messages of this end are not known to have arrived: Count of them, from number
// First on. A session's messages are numbered from 1. Each of these messages may have arrived or not.
// All messages before First have arrived at the other end's session. A message for which Send returned
// an error has no number.
//
// Every [CloseError] has a GapError, except for sessions that this end has closed after everything had
// arrived, and for those that are Stored.
//
// The method Messages returns the messages themselves, in order, so that a later session can send them.
// They include the requests of Calls, but no answers, for which nobody waits any more. They are
// plaintext; a GapError prints nothing of them.
type GapError = fault.GapError

// A DisconnectError says how a session lost a connection; Err is what ended the connection. The session
// goes on: a client dials again, a server waits, and messages that had not arrived are sent again. The
// error matches [net.ErrClosed]. It never matches [io.EOF], since a hop can cause it.
type DisconnectError = fault.DisconnectError

// ErrTooLarge is matched by the error of [Session.Send] for a message above the
// limit; the session goes on. In a [CloseError] it says that the other end has sent
// such a message: the ends do not have the same [Options.MaxMessage].
var ErrTooLarge = fault.ErrTooLarge

// A RefusedError says that the other end did not take a message, and for which Reason. ID is the
// message's number. The session goes on.
type RefusedError = fault.RefusedError

// A Refusal says why an end did not take a message.
type Refusal = fault.Refusal

// Refusals.
const (
	RefusedType         = fault.RefusedType         // it serves no messages of this type
	RefusedUnauthorized = fault.RefusedUnauthorized // the sender may not send this
	RefusedFailed       = fault.RefusedFailed       // its function failed; only that end knows why
	RefusedBusy         = fault.RefusedBusy         // too many requests wait already: try again later
	RefusedValue        = fault.RefusedValue        // the message is not a value of the type that was expected
	RefusedInterrupted  = fault.RefusedInterrupted  // the process that served it has ended: it may have been served, or in part
)

// A ReplyError is an error that crosses the wire. If a function that serves requests returns it, or an
// error that wraps it, the [Session.Call] at the other end returns the same. The text of any other
// error stays in its program. The application gives Code its meaning. Text is cut off after 1,024
// bytes.
type ReplyError = fault.ReplyError

// Errors of credentials.
var (
	// ErrCredentials: the credentials were not accepted, or have expired. The session ends
	// with this error at both ends.
	ErrCredentials = fault.ErrCredentials

	// ErrCredentialsExpired matches ErrCredentials. It says that only the time of the
	// credentials is wrong: they have expired, or are not valid yet. [ServerConfig.Authenticate]
	// returns it, or a [Grant] whose end is in the past, which means the same. Since the clock
	// may be wrong, an open session goes on for as long as its last Grant lasts, and the client
	// tries again.
	ErrCredentialsExpired = fault.ErrCredentialsExpired
)

// ErrUndecided is returned by [Session.Renew] if the other end could not decide about what this end has
// shown. What the other end accepted before still counts.
var ErrUndecided = fault.ErrUndecided

// A StreamError says which end has given a stream up: the other end if Remote is set, else this one. Err
// is the cause, if there is one. What was read of the stream is not complete. The session goes on.
type StreamError = fault.StreamError

// ErrServerClosed is returned by a [Server] after Shutdown.
var ErrServerClosed = fault.ErrServerClosed

// A PanicError is a panic in a function of the application, such as a server's function or a Verifier. It
// has the panic's Value and the Stack of its goroutine.
type PanicError = fault.PanicError
