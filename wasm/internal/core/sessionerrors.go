package core

import (
	"context"
	"errors"
	"strconv"

	"github.com/hopseal/hopseal/e2e"
	"github.com/hopseal/hopseal/internal/slog"
	"github.com/hopseal/hopseal/transport"
)

// silent takes log lines: JavaScript learns the same from events, errors and figures.
var silent = slog.Silent()

// sessionError returns an error of package e2e with its code, and nil for every other error. What
// ends a session comes first: it may have been caused by an error of another code.
func sessionError(err error) *Error {
	if e, ok := errors.AsType[*e2e.CloseError](err); ok {
		return closeError(e)
	}
	if e, ok := errors.AsType[*e2e.ReplyError](err); ok {
		return &Error{Code: "reply", Message: e.Text, Known: []string{decimal(uint64(e.Code))}}
	}
	if e, ok := errors.AsType[*e2e.RefusedError](err); ok {
		return &Error{Code: "refused", Message: e.Error(), Reason: refusals[e.Reason], Known: []string{decimal(e.ID)}}
	}
	if _, ok := errors.AsType[*e2e.StreamError](err); ok {
		return &Error{Code: "stream", Message: err.Error()}
	}
	return nil
}

// connectError returns an error of an attempt to begin a session with its code, and nil for every
// other error. The Verifier's own error says more, and has come before.
func connectError(err error) *Error {
	if e, ok := errors.AsType[*e2e.HandshakeError](err); ok {
		return &Error{Code: "handshake", Message: e.Error(), Reason: e2e.ReasonOf(err)}
	}
	if e, ok := errors.AsType[*transport.DialError](err); ok {
		return &Error{Code: "unreachable", Message: e.Problem}
	}
	switch {
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return &Error{Code: "aborted", Message: "given up"}
	case errors.Is(err, e2e.ErrTooLarge):
		return &Error{Code: "too-large", Message: err.Error()}
	case errors.Is(err, e2e.ErrServerClosed):
		return &Error{Code: "closed", Message: err.Error()}
	}
	return nil
}

// closeError says how a session ended. Known has the code, whether the other end closed it, how many
// of its messages are missing, whether the session is stored, and the first and the number of the
// messages in the gap.
func closeError(e *e2e.CloseError) *Error {
	known := []string{e.Code.String(), truth(e.Remote), decimal(e.Missing), truth(e.Stored), "0", "0"}
	if e.Gap != nil {
		known[4], known[5] = decimal(e.Gap.First), decimal(uint64(e.Gap.Count))
	}
	return &Error{Code: "session-closed", Message: e.Error(), Reason: e2e.ReasonOf(e), Known: known}
}

func decimal(n uint64) string { return strconv.FormatUint(n, 10) }

func truth(b bool) string {
	if b {
		return "1"
	}
	return "0"
}

var refusals = map[e2e.Refusal]string{
	e2e.RefusedType: "type", e2e.RefusedUnauthorized: "unauthorized", e2e.RefusedFailed: "failed",
	e2e.RefusedBusy: "busy", e2e.RefusedValue: "value", e2e.RefusedInterrupted: "interrupted",
}
