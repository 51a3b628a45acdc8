package engine

import "errors"

// ErrHandshake is matched by every handshake that failed for a cause that the
// other end, or somebody between the two, could have produced. It has one text
// for all of them; [Error.Reason] tells a local caller which it was.
var ErrHandshake = errors.New("engine: handshake failed")

// ErrRecord is matched by every record that does not open. As with
// [ErrHandshake], the cause is for the local caller only.
var ErrRecord = errors.New("engine: record refused")

// Errors that an attacker has no part in.
var (
	// ErrTooLarge is returned by [Link.Seal] for a message above the limit. The
	// session goes on.
	ErrTooLarge = errors.New("engine: message exceeds the session's limit")

	// ErrBlocked is returned by [Link.Seal] for a message that has to wait until
	// the other end has made room. The session goes on.
	ErrBlocked = errors.New("engine: no room for a message now")

	// ErrFinished is returned by [Link.Seal] and [Session.Queue] once the session numbers
	// no more messages.
	ErrFinished = errors.New("engine: no more messages in this session")

	// ErrUnfinished is returned by [Link.SealClose] with [CloseDone] where messages have a
	// number and were not sealed to their end on this link. Nothing was sealed.
	ErrUnfinished = errors.New("engine: not everything is sealed")

	// ErrRefused is returned to a client whose identity the server, itself
	// already authenticated, did not accept.
	ErrRefused = errors.New("engine: the server refused this identity")

	// ErrLapsed is returned to a client whose statement does not count at this time, by the
	// clock of the server, which does not accept it.
	ErrLapsed = errors.New("engine: the server says that this identity's statement has expired")

	// ErrStale is returned to a client whose credentials are out of their time by the clock of the
	// server.
	ErrStale = errors.New("engine: the server says that the credentials have expired")

	// ErrUnavailable is returned to a client whom the server turned away for a
	// reason that has nothing to do with its identity.
	ErrUnavailable = errors.New("engine: the server takes no more sessions now")

	// ErrExpired is returned once the handshake's deadline has passed.
	ErrExpired = errors.New("engine: the handshake took too long")

	// ErrSilent is returned by [Link.Control] when nothing has come from the other end
	// for so long that the link must be dead.
	ErrSilent = errors.New("engine: the other end is silent")

	// ErrExhausted is returned when a direction has sent its last record. No
	// session lives that long: it is what stands between a bug and a repeated
	// nonce.
	ErrExhausted = errors.New("engine: no records left in this session")

	// ErrClosed is returned by every use of a Handshake or Session that is dead
	// or closed, and by a call that is not due.
	ErrClosed = errors.New("engine: closed, or call out of order")
)

// A Reason is why a handshake or record was refused. It is for the eyes of this
// end only: nothing that the other end can see depends on it.
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
