package core

import (
	"errors"
	"strings"

	"github.com/hopseal/hopseal/envelope"
	"github.com/hopseal/hopseal/keys"
	"github.com/hopseal/hopseal/keys/trust"
)

// An Error crosses to JavaScript and becomes a HopsealError there.
//
//	error = code text, message text, reason text, known text …
type Error struct {
	Code    string   // stable, as in index.d.ts
	Message string   // for people, without foreign text
	Reason  string   // of "open-failed", "session-closed", "handshake" and "refused"
	Known   []string // of "trust-changed": fingerprints; of others see sessionerrors.go
}

func (e *Error) Error() string { return e.Code + ": " + e.Message }

func errDead(what string) *Error { return &Error{Code: "core-dead", Message: what} }

func appendError(dst []byte, err error) []byte {
	e := asError(err)
	dst = appendText(dst, e.Code)
	dst = appendText(dst, e.Message)
	dst = appendText(dst, e.Reason)
	for _, k := range e.Known {
		dst = appendText(dst, k)
	}
	return dst
}

// asError finds the code of an error. What has none was caused by the caller's
// arguments.
func asError(err error) *Error {
	if e := sessionError(err); e != nil {
		return e
	}
	if e, ok := errors.AsType[*Error](err); ok {
		return e
	}
	if e, ok := errors.AsType[*trust.Error](err); ok {
		return trustError(e, err)
	}
	if e := connectError(err); e != nil {
		return e
	}
	switch {
	case errors.Is(err, keys.ErrExpired), errors.Is(err, keys.ErrNotYetValid):
		return &Error{Code: "identity-expired", Message: err.Error()}
	case errors.Is(err, envelope.ErrOpen):
		return &Error{Code: "open-failed", Message: err.Error(), Reason: openReasons[envelope.ReasonOf(err)]}
	case errors.Is(err, keys.ErrPublicIdentity), errors.Is(err, keys.ErrIdentity),
		errors.Is(err, trust.ErrKnownPeers), errors.Is(err, keys.ErrSharedKeyset), errors.Is(err, envelope.ErrReplayGuard):
		return &Error{Code: "invalid", Message: err.Error()}
	}
	return &Error{Code: "bad-argument", Message: err.Error()}
}

// trustError is for an error of a Verifier, which may say more than the trust.Error in it.
func trustError(e *trust.Error, whole error) *Error {
	out := &Error{Code: "trust-" + strings.ReplaceAll(e.Reason.String(), " ", "-"), Message: whole.Error()}
	for _, k := range e.Known {
		out.Known = append(out.Known, k.String())
	}
	return out
}

var openReasons = map[envelope.Reason]string{
	envelope.ReasonMalformed: "malformed",
	envelope.ReasonVersion:   "version",
	envelope.ReasonSuite:     "suite",
	envelope.ReasonSender:    "sender",
	envelope.ReasonReflected: "reflected",
	envelope.ReasonContext:   "context",
	envelope.ReasonProof:     "proof",
	envelope.ReasonNotForUs:  "not-for-us",
	envelope.ReasonKey:       "key",
	envelope.ReasonBody:      "body",
	envelope.ReasonTime:      "time",
	envelope.ReasonReplay:    "replay",
	envelope.ReasonRetired:   "retired",
	envelope.ReasonExpired:   "sender-expired",
	envelope.ReasonUnlisted:  "unlisted",
}
