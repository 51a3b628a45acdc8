package engine

import "errors"

// ErrHandshake is matched by the error of every handshake that failed for a cause that the
// other end, or somebody in between, could have produced. All have the same text;
// [Error.Reason] tells a local caller the cause.
var ErrHandshake = errors.New("engine: handshake failed")

// ErrRecord is matched by the error of every record that is refused. As with
// [ErrHandshake], only a local caller learns the cause.
var ErrRecord = errors.New("engine: record refused")

// Errors that no attacker causes.
var (
	// ErrTooLarge is returned by [Link.Seal] for a message above the limit. The
	// session goes on.
	ErrTooLarge = errors.New("engine: message exceeds the session's limit")

	// ErrBlocked is returned by [Link.Seal] for a message that has to wait until
	// the other end has made room. The session goes on.
	ErrBlocked = errors.New("engine: no room for a message now")

	// ErrFinished is returned by [Link.Seal] and [Session.Queue] once the session takes no
	// more messages to send.
	ErrFinished = errors.New("engine: no more messages in this session")

	// ErrUnfinished is returned by [Link.SealClose] with [CloseDone] if some message was not
	// sealed completely on this link. Nothing was sealed.
	ErrUnfinished = errors.New("engine: not everything is sealed")

	// ErrRefused is returned to a client whose identity the server did not accept. The
	// server has authenticated itself by then.
	ErrRefused = errors.New("engine: the server refused this identity")

	// ErrLapsed is returned to a client that the server does not accept because the client's
	// statement is not valid at this time, by the server's clock.
	ErrLapsed = errors.New("engine: the server says that this identity's statement has expired")

	// ErrStale is returned to a client whose credentials are not valid at this time, by the
	// server's clock.
	ErrStale = errors.New("engine: the server says that the credentials have expired")

	// ErrUnavailable is returned to a client that the server turned away for a reason that
	// has nothing to do with the client's identity.
	ErrUnavailable = errors.New("engine: the server takes no more sessions now")

	// ErrExpired is returned once the handshake's deadline has passed.
	ErrExpired = errors.New("engine: the handshake took too long")

	// ErrSilent is returned by [Link.Control] when nothing has come from the other end
	// for so long that the link must be dead.
	ErrSilent = errors.New("engine: the other end is silent")

	// ErrExhausted is returned when a direction has sent its last record. No session lives
	// that long: the error keeps a bug from repeating a nonce.
	ErrExhausted = errors.New("engine: no records left in this session")

	// ErrClosed is returned by every use of a value that has ended, and by a call that is out
	// of order.
	ErrClosed = errors.New("engine: closed, or call out of order")
)

// A Reason says why a handshake or record was refused. It is for this end only: nothing that
// the other end can see depends on it.
type Reason int

// Reasons. None of them contains anything from the other end.
const (
	ReasonSize       Reason = iota + 1 // a frame of a size that this message cannot have
	ReasonEncoding                     // authentic bytes that are not in the one accepted form
	ReasonKeyShare                     // a key share that is not a valid key
	ReasonCipher                       // bytes that do not authenticate: another version, a change on the way, a replay
	ReasonIdentity                     // a public identity that is malformed or not signed by its root
	ReasonSignature                    // the signature of somebody who does not hold the identity's key
	ReasonSelf                         // this end's own identity
	ReasonType                         // a record of unknown type
	ReasonCredit                       // a message that there was no credit for
	ReasonAck                          // an acknowledgement that cannot be, or that says nothing
	ReasonRekey                        // a step of a rekey that is not due, or a share in it that is no good
	ReasonLength                       // a message above the limit
	ReasonUpdate                       // an update that is not due, or that the sender's root has not signed
	ReasonGeneration                   // keys that should have been replaced before, or were far too often
	ReasonClose                        // a close that does not fit what has arrived
)

var reasonTexts = [...]string{
	ReasonSize:       "size",
	ReasonEncoding:   "encoding",
	ReasonKeyShare:   "key share",
	ReasonCipher:     "authentication",
	ReasonIdentity:   "identity",
	ReasonSignature:  "signature",
	ReasonSelf:       "own identity",
	ReasonType:       "record type",
	ReasonCredit:     "credit",
	ReasonAck:        "acknowledgement",
	ReasonRekey:      "rekey",
	ReasonLength:     "message length",
	ReasonUpdate:     "update",
	ReasonGeneration: "key generation",
	ReasonClose:      "close",
}

// NumReasons is above every Reason.
const NumReasons = len(reasonTexts)

// String returns a short name for logs.
func (r Reason) String() string {
	if r > 0 && int(r) < len(reasonTexts) {
		return reasonTexts[r]
	}
	return "unknown"
}

// Error is [ErrHandshake] or [ErrRecord] with its Reason.
type Error struct {
	Reason Reason
	kind   error
}

// Error returns the one text of its kind, whatever the Reason.
func (e *Error) Error() string { return e.kind.Error() }

// Unwrap returns [ErrHandshake] or [ErrRecord].
func (e *Error) Unwrap() error { return e.kind }
