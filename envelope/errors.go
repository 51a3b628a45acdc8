package envelope

import (
	"errors"
	"fmt"
)

// ErrOpen matches every failure to open. All causes have one text, so that an attacker
// who sees it learns nothing. [ReasonOf] tells the local caller more.
var ErrOpen = errors.New("envelope: message does not open")

// Reason says why an envelope did not open. It is for the local log and user, and must
// not reach the sender.
type Reason byte

const (
	ReasonMalformed Reason = iota + 1 // not an envelope, cut short, or not in the accepted encoding
	ReasonVersion                     // a version this code does not know
	ReasonSuite                       // not a suite that the Opener's keys are for
	ReasonSender                      // not from the expected sender
	ReasonReflected                   // one's own message, returned
	ReasonContext                     // made for another context
	ReasonProof                       // the proof does not verify: changed, forged, or signed by a key not in use then
	ReasonNotForUs                    // sealed to other keys
	ReasonKey                         // the key in it does not open, or is not the one it commits to
	ReasonBody                        // the body does not open, or its padding is wrong
	ReasonTime                        // too old, or from the future
	ReasonReplay                      // opened before
	ReasonRetired                     // under a key that is archived, see Opener.Archive
	ReasonSize                        // larger than Opener.MaxSize
	ReasonExpired                     // dated when the sender's statement in From had expired: ask the sender for its current one
	ReasonUnlisted                    // by a key that From does not list: it is old, so ask the sender for its current one; or a forgery
)

var reasonTexts = [...]string{
	ReasonMalformed: "malformed",
	ReasonVersion:   "unknown version",
	ReasonSuite:     "unexpected suite",
	ReasonSender:    "unexpected sender",
	ReasonReflected: "own message returned",
	ReasonContext:   "made for another context",
	ReasonProof:     "proof does not verify",
	ReasonNotForUs:  "sealed to others",
	ReasonKey:       "content key does not open",
	ReasonBody:      "body does not open",
	ReasonTime:      "too old or from the future",
	ReasonReplay:    "opened before",
	ReasonRetired:   "sealed under an archived key",
	ReasonSize:      "too large",
	ReasonExpired:   "sender's statement has expired",
	ReasonUnlisted:  "signed by a key that the sender's statement does not list",
}

func (r Reason) String() string {
	if r == 0 || int(r) >= len(reasonTexts) {
		return fmt.Sprintf("Reason(%d)", byte(r))
	}
	return reasonTexts[r]
}

// errNil returns the error for an argument that is nil; what names its type.
func errNil(what string) error {
	return fmt.Errorf("envelope: no %s was given: it is nil or empty", what)
}

// ReasonOf returns the reason of an error from [Opener.Open] or [Inspect], and 0 for any
// other error.
func ReasonOf(err error) Reason {
	if e, ok := errors.AsType[*openError](err); ok {
		return *e.reason
	}
	return 0
}

// openError looks like ErrOpen under every verb. The reason is behind a pointer, since
// fmt sometimes prints the fields without calling Format: for errors in unexported
// fields, and for a %w outside of Errorf.
type openError struct{ reason *Reason }

func (e *openError) Error() string              { return ErrOpen.Error() }
func (e *openError) Is(target error) bool       { return target == ErrOpen }
func (e *openError) Format(s fmt.State, _ rune) { fmt.Fprint(s, ErrOpen.Error()) }

func fail(r Reason) error { return &openError{&r} }
