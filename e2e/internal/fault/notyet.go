package fault

import (
	"errors"

	"github.com/hopseal/hopseal/transport"
)

// NotYet says why a stored session has no connection yet.
type NotYet struct {
	Why  error // what ended the attempts
	Last error // of the last attempt; nil if there was none
}

func (e *NotYet) Error() string {
	if e.Last == nil || errors.Is(e.Why, e.Last) {
		return "it has no connection yet, and stays stored: " + e.Why.Error()
	}
	return "it has no connection yet, and stays stored: " + e.Why.Error() + ": " + e.Last.Error()
}

func (e *NotYet) Unwrap() []error {
	if e.Last == nil {
		return []error{e.Why}
	}
	return []error{e.Why, e.Last}
}

// Permanent reports whether the next Dial will fail in the same way, whatever the network does.
func (e *NotYet) Permanent() bool { return CannotDial(e.Why) }

// CannotDial reports whether a dial failed before it began, because of its URL or its options.
func CannotDial(err error) bool {
	var failed *transport.DialError
	return errors.As(err, &failed) && failed.Phase == 0 && failed.Status == 0 && failed.Permanent()
}
