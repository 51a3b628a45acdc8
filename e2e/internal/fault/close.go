package fault

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/hopseal/hopseal/internal/netless"
)

// Causes that end a session. A CloseError has them.
var (
	ErrTruncated  = errors.New("the connection ended before the other end closed the session; messages may be missing")
	ErrTampered   = errors.New("a message was changed, dropped, repeated or reordered on the way")
	ErrMisbehaved = errors.New("the other end does not keep to the protocol")
	ErrSilent     = errors.New("nothing has come from the other end for too long")
	ErrExpired    = errors.New("the session has expired")
	ErrUntrusted  = errors.New("the other end is not trusted any more")
	ErrCrowded    = errors.New("the session had to make room for others")
	ErrStalled    = errors.New("the other end takes no messages any more")
)

// Errors of one call, which end no session.
var (
	ErrTooLarge     = errors.New("message above the session's limit")
	ErrType         = errors.New("a type must have at most 128 bytes of UTF-8")
	ErrServerClosed = errors.New("e2e: the server is shut down")
	ErrUndecided    = errors.New("e2e: the other end could not decide now")
)

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

// A CloseError says how a session ended. It always matches [net.ErrClosed]. It matches
// [io.EOF] if the other end has closed the session with [CodeDone]: then nothing is missing.
type CloseError struct {
	Code   Code  // if Err is nil
	Remote bool  // the other end closed the session, not this one
	Err    error // what broke the session, nil if it was closed

	// Gap says which messages are not known to have arrived. It is nil if this end closed
	// the session and everything has arrived, and if the session is Stored. errors.As finds
	// it too.
	Gap *GapError

	// Missing is how many messages the other end had accepted for sending that have not
	// arrived here, as its close says. It is 0 if the other end closed with [CodeDone]. If
	// nobody closed the session, nobody knows the number.
	Missing uint64

	// Stored says that only this end of the session is over. The session is in
	// [Options.Store], with every message for which Send has returned nil, and may go on in
	// another process.
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

// missed returns the text of the gap.
func (e *CloseError) missed() string {
	if e.Gap == nil {
		return "see Gap"
	}
	return strings.TrimPrefix(e.Gap.Error(), "e2e: ")
}

// Unwrap returns net.ErrClosed, the cause and the gap.
func (e *CloseError) Unwrap() []error {
	all := []error{netless.ErrClosed}
	if e.Err != nil {
		all = append(all, e.Err)
	}
	if e.Gap != nil {
		all = append(all, e.Gap)
	}
	return all
}

// Is makes an orderly end match io.EOF. It makes an end for expired credentials match
// ErrCredentials at both ends.
func (e *CloseError) Is(target error) bool {
	if !e.Remote || e.Err != nil {
		return false
	}
	return target == io.EOF && e.Code == CodeDone || target == ErrCredentials && e.Code == CodeCredentials
}

// Cut returns the end of a session whose connection failed. If a caller's context ended the
// connection, the cause is that context and not the network.
func Cut(ctx context.Context, err error) *CloseError {
	ended := ctx.Err()
	for _, other := range []error{context.Canceled, context.DeadlineExceeded} {
		if ended == nil && errors.Is(err, other) { // another call's context, which cost the connection
			ended = other
		}
	}
	if ended != nil {
		return &CloseError{Err: ended}
	}
	return &CloseError{Remote: true, Err: truncated{err}}
}

// Truncated returns ErrTruncated with the transport's error.
func Truncated(cause error) error { return truncated{cause} }

// truncated hides the transport's io.EOF: a hop can forge that.
type truncated struct{ cause error }

func (t truncated) Error() string        { return ErrTruncated.Error() + " (" + t.cause.Error() + ")" }
func (t truncated) Is(target error) bool { return target == ErrTruncated }
func (t truncated) As(target any) bool   { return errors.As(t.cause, target) }
