package redial

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/hopseal/hopseal/internal/safetext"
)

// shownCause bounds how much of the last failure the error of a Redialer shows, in characters. A
// DialError or CloseError of full length fits.
const shownCause = 600

// ErrRefresh is matched by errors after [Policy.Refresh] failed.
var ErrRefresh = errors.New("the credential could not be refreshed")

// A GaveUpReason says why a Redialer gave up.
type GaveUpReason int

const (
	GaveUpStopped    GaveUpReason = iota + 1 // the last error says that another try would not help
	GaveUpCredential                         // the credential is refused, and there is no other: the user has to log in again
	GaveUpTries                              // Policy.MaxTries is used up
	GaveUpTime                               // Policy.MaxTime is over, or would be before the next try
	GaveUpContext                            // the caller's context ended
)

// A GaveUpError says why there is no connection, and will be none unless somebody starts again.
type GaveUpError struct {
	Reason GaveUpReason
	Tries  int           // dials since the last stable connection
	Time   time.Duration // since the last stable connection ended, or the first dial began
	Err    error         // the last failure; nil if the context ended before there was one

	ended error // the error of the caller's context, for GaveUpContext
}

// Error returns one line.
func (e *GaveUpError) Error() string {
	s := "transport: gave up " + e.reason()
	if e.Err != nil {
		s += ": " + safetext.Line(strings.TrimPrefix(e.Err.Error(), "transport: "), shownCause)
	}
	return s
}

func (e *GaveUpError) reason() string {
	tries := fmt.Sprint(e.Tries, " tries")
	if e.Tries == 1 {
		tries = "1 try"
	}
	switch e.Reason {
	case GaveUpStopped:
		return "since trying again would not help"
	case GaveUpCredential:
		return "since the credential is refused and there is no other: log in again"
	case GaveUpTries:
		return "after " + tries
	case GaveUpTime:
		return "after " + tries + " in " + e.Time.Round(time.Millisecond).String()
	}
	return "since the caller did (" + e.ended.Error() + ") after " + tries
}

// Unwrap returns the error of the caller's context, if that ended, and the last failure.
func (e *GaveUpError) Unwrap() []error {
	var all []error
	for _, err := range []error{e.ended, e.Err} {
		if err != nil {
			all = append(all, err)
		}
	}
	return all
}

// Permanent reports whether starting again will fail again until somebody changes something.
func (e *GaveUpError) Permanent() bool {
	return e.Reason == GaveUpStopped || e.Reason == GaveUpCredential
}

// A refreshError does not show its cause, which may repeat a token: net/http's
// errors hold whole URLs (requirement A48).
type refreshError struct{ cause error }

func (e *refreshError) Error() string   { return "transport: " + ErrRefresh.Error() }
func (e *refreshError) Unwrap() []error { return []error{ErrRefresh, e.cause} }
