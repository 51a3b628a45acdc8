package transport

import (
	"errors"
	"strconv"
	"strings"
	"time"
)

// A close message has no field for a time to wait, as HTTP has with Retry-After. So the
// reason of a close with CodeTryLater or CodeRestart may begin with one, in seconds:
//
//	retry-after=2.5 too many handshakes at once

// waitMark is what such a reason begins with.
const waitMark = "retry-after="

// longestRetryAfter is what a longer time to wait is read as.
const longestRetryAfter = 24 * time.Hour

// WaitReason returns the reason of a close that asks the peer to come back no sooner than
// after some time, for a Close with [CodeTryLater] or [CodeRestart]. The peer finds the time in
// [CloseError.RetryAfter], to the millisecond. The text says why, at most 100 bytes of it.
func WaitReason(wait time.Duration, text string) string {
	wait = min(max(wait, 0), longestRetryAfter).Round(time.Millisecond)
	return waitMark + strconv.FormatFloat(wait.Seconds(), 'f', -1, 64) + " " + text
}

// PeerClosed returns the error of a connection that the peer has closed. It is for those who
// make a Conn of something else.
func PeerClosed(code Code, reason string) *CloseError {
	return &CloseError{Code: code, Reason: reason, Remote: true, RetryAfter: waitIn(code, reason)}
}

// waitIn reads the time in a reason, 0 if there is none. What cannot be read counts as absent.
func waitIn(code Code, reason string) time.Duration {
	value, ok := strings.CutPrefix(reason, waitMark)
	if !ok || code != CodeTryLater && code != CodeRestart {
		return 0
	}
	value, _, _ = strings.Cut(value, " ")
	if value == "" || len(value) > 20 || strings.Trim(value, "0123456789.") != "" {
		return 0
	}
	seconds, err := strconv.ParseFloat(value, 64)
	if err != nil {
		return 0
	}
	return time.Duration(min(seconds, longestRetryAfter.Seconds()) * float64(time.Second))
}

// RetryAfter returns how long the other side wants to be left alone, by the answer to a dial
// or by the close of a connection, 0 if it does not say. It is the word of whoever answered or closed, a
// hop for instance: a hint.
func RetryAfter(err error) time.Duration {
	var refused *DialError
	if errors.As(err, &refused) && refused.RetryAfter > 0 {
		return refused.RetryAfter
	}
	var closed *CloseError
	if errors.As(err, &closed) && closed.Remote {
		return closed.RetryAfter
	}
	return 0
}
