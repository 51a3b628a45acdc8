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

// waitMark begins a reason that holds a time.
const waitMark = "retry-after="

// longestRetryAfter bounds the times that a peer may ask for: a longer one counts as this.
const longestRetryAfter = 24 * time.Hour

// WaitReason returns a reason for a Close with [CodeTryLater] or [CodeRestart] that asks the peer
// not to come back before some time has passed. The peer finds the time in [CloseError.RetryAfter],
// to the millisecond. The text says why, in at most 100 bytes.
func WaitReason(wait time.Duration, text string) string {
	wait = min(max(wait, 0), longestRetryAfter).Round(time.Millisecond)
	return waitMark + strconv.FormatFloat(wait.Seconds(), 'f', -1, 64) + " " + text
}

// PeerClosed returns the error of a connection that the peer has closed. It is for packages that
// make a Conn of something else.
func PeerClosed(code Code, reason string) *CloseError {
	return &CloseError{Code: code, Reason: reason, Remote: true, RetryAfter: waitIn(code, reason)}
}

// waitIn returns the time in a reason, or 0 if there is none or it cannot be read.
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

// RetryAfter returns how long the other side asks not to be dialled, in its answer to a dial or in
// its close of a connection, or 0 if it does not say. Whoever answered or closed may be a hop, so
// this is a hint.
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
