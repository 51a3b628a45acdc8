package e2e

import "github.com/hopseal/hopseal/e2e/internal/fault"

// A HandshakeError says why no session came about, in one line: what failed, at which
// end, and what to do. Its fields:
//
//	Reason  why
//	Detail  for ReasonNotAuthentic, which check failed. It is for this end's eyes and is
//	        not in the text: whoever tries out forgeries must not be able to tell the
//	        checks apart.
//	Err     the cause: the Verifier's error, that of the transport, or nil
//
// Its method Permanent reports that trying again will fail again until somebody changes
// something.
type HandshakeError = fault.HandshakeError

// A Reason is why a handshake failed.
type Reason = fault.Reason

// Reasons.
const (
	ReasonNotAuthentic   = fault.ReasonNotAuthentic   // what arrived proves nothing: a change on the way, another version, somebody else's keys
	ReasonUntrusted      = fault.ReasonUntrusted      // the Verifier did not accept the other end; the cause is its error
	ReasonRefused        = fault.ReasonRefused        // the server did not accept this end's identity, or its credentials
	ReasonUnavailable    = fault.ReasonUnavailable    // the server has no room now; [transport.RetryAfter] of the error says until when, if it told
	ReasonTimeout        = fault.ReasonTimeout        // the other end did not answer in time
	ReasonLost           = fault.ReasonLost           // the connection ended
	ReasonUnknownSession = fault.ReasonUnknownSession // the server does not know the session that was to go on, and has signed that
	ReasonLocal          = fault.ReasonLocal          // something failed at this end, such as the signer; see the cause
	ReasonUnauthorized   = fault.ReasonUnauthorized   // the client's credentials are not accepted; the cause is the error of Authenticate, or [ErrCredentialsExpired] where a client comes back with them
	ReasonRolledBack     = fault.ReasonRolledBack     // an end has gone back to what the session was before: it was restored from a backup, or its store was
	ReasonProtocol       = fault.ReasonProtocol       // the ends do not speak the same; the cause is a [*ProtocolError]
	ReasonIdentity       = fault.ReasonIdentity       // this end's own identity has expired, is from the future, or was revoked; the cause says which
)

// A ProtocolError says what each end of a handshake speaks, where that is not the same:
// Own and Theirs are their [Config.Protocol], OwnProof and TheirsProof their
// [Options.Proof]. The other end has proved who it is, and what stands here is its own
// word. It is the cause of a [HandshakeError] with [ReasonProtocol], at both ends.
type ProtocolError = fault.ProtocolError

// A CloseError says how a session ended. It always matches [net.ErrClosed]. It matches
// [io.EOF] where the other end has closed the session with [CodeDone], so that nothing
// is missing. Its fields:
//
//	Code     why an end closed the session, if Err is nil
//	Remote   the other end closed the session, not this one
//	Err      what broke the session, nil if it was closed
//	Gap      which messages are not known to have arrived. It is nil where this end closed
//	         the session and everything has, and where it is Stored. It is found by
//	         errors.As too.
//	Missing  how many messages the other end had still accepted for sending that have not
//	         arrived here, by the word of its close. It is 0 where it closed with CodeDone.
//	         Where nobody closed the session nobody knows.
//	Stored   only this end of the session is over: it is in [Options.Store], with every
//	         message that a Send has returned nil for, and may go on in another process
type CloseError = fault.CloseError

// A Code says why an end closed a session. Unlike anything that a transport says,
// it comes from the other end itself.
type Code = fault.Code

// Codes.
const (
	CodeDone        = fault.CodeDone        // it had no more to say
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
	// session. What it still meant to send is missing.
	ErrTruncated = fault.ErrTruncated

	// ErrTampered: a message does not open. A hop has changed, dropped, repeated,
	// reordered or invented one.
	ErrTampered = fault.ErrTampered

	// ErrMisbehaved: the other end itself, not a hop, broke the rules of delivery, or of
	// rekeys: it sent more than it may, acknowledged what it cannot have, or wanted new
	// keys out of turn.
	ErrMisbehaved = fault.ErrMisbehaved

	// ErrSilent: nothing has come from the other end for twice [Options.KeepAlive], not
	// even when it was asked.
	ErrSilent = fault.ErrSilent

	// ErrExpired: the session had no message for [Options.IdleTimeout], no connection for
	// [ServerConfig.ParkTimeout], or is older than [Options.MaxAge].
	ErrExpired = fault.ErrExpired

	// ErrUntrusted: the Verifier does not accept the other end any more, or that end's
	// own root has revoked it. The cause is a [*trust.Error].
	ErrUntrusted = fault.ErrUntrusted

	// ErrCrowded: too many sessions without a connection wait for their clients.
	ErrCrowded = fault.ErrCrowded

	// ErrStalled: the other end took no message, or nothing of a long one, for
	// [Options.SendTimeout]. Where it does not answer either, that is the end of the
	// connection only.
	ErrStalled = fault.ErrStalled
)

// A GapError says which messages that this end has sent are not known to have arrived:
// Count of them, from number First on; a session's messages are numbered from 1. Each of
// them may have arrived, or not. All messages before First have arrived at the other
// end's session. What a Send has refused with an error has no number.
//
// Every [CloseError] has a GapError, but for sessions that this end has closed once
// everything had arrived, and those that are Stored.
//
// Its method Messages returns the messages themselves, in their order, for a session
// that comes after. Requests of a Call are among them, answers are not: nobody waits for
// those any more. They are plaintext, and nowhere in what a GapError prints.
type GapError = fault.GapError

// A DisconnectError says how a session lost a connection; Err is what ended it. That is
// not the end of the session: a client dials again, a server waits, and what had not
// arrived is sent again. It matches [net.ErrClosed], and never [io.EOF], which a hop can
// forge.
type DisconnectError = fault.DisconnectError

// ErrTooLarge is matched by the error of [Session.Send] for a message above the
// limit; the session goes on. In a [CloseError] it says that the other end has sent
// such a message: the ends do not have the same [Options.MaxMessage].
var ErrTooLarge = fault.ErrTooLarge

// A RefusedError says that the other end did not take a message, and for what Reason; ID
// is the message's number. The session goes on.
type RefusedError = fault.RefusedError

// A Refusal says why an end did not take a message.
type Refusal = fault.Refusal

// Refusals.
const (
	RefusedType         = fault.RefusedType         // it serves no messages of this type
	RefusedUnauthorized = fault.RefusedUnauthorized // the sender may not send this
	RefusedFailed       = fault.RefusedFailed       // its function failed; why is told there only
	RefusedBusy         = fault.RefusedBusy         // too many requests wait already: try again later
	RefusedValue        = fault.RefusedValue        // the message is not a value of the type that was expected
	RefusedInterrupted  = fault.RefusedInterrupted  // the process that served it has ended: it may have been served, or in part
)

// A ReplyError is an error that crosses the wire. A function that serves requests
// returns it, or an error that wraps it, and the [Session.Call] at the other end returns
// the same. The text of no other error leaves its program. Code is what the application
// says it is; Text has at most 1,024 bytes, and more is cut off.
type ReplyError = fault.ReplyError

// Errors of credentials.
var (
	// ErrCredentials: they were not accepted, or have expired. A session ends with it
	// at both ends.
	ErrCredentials = fault.ErrCredentials

	// ErrCredentialsExpired matches ErrCredentials and says that time is all that is wrong
	// with them: they have expired, or are not valid yet. [ServerConfig.Authenticate] returns it,
	// or a [Grant] whose end is in the past. The clock that says so may be wrong, so a session
	// that is open goes on, for as long as its last Grant lasts, and the client tries again.
	ErrCredentialsExpired = fault.ErrCredentialsExpired
)

// ErrUndecided is returned by [Session.Renew] where the other end could not decide on
// what it was shown. What it had accepted before goes on to count.
var ErrUndecided = fault.ErrUndecided

// A StreamError says who has given a stream up: the other end, if Remote, or this one.
// Err is the cause, if there is one. What was read of the stream is not all. The session
// goes on.
type StreamError = fault.StreamError

// ErrServerClosed is returned by a [Server] after Shutdown.
var ErrServerClosed = fault.ErrServerClosed

// A PanicError is a panic of a server's function or of its Verifier: its Value, and the
// Stack of its goroutine.
type PanicError = fault.PanicError
